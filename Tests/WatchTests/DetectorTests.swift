import Domain
import Rules
import Testing
@testable import Watch

@Suite("Detection over a stream of events")
struct DetectorTests {
    private static let start = Instant(microseconds: 1_790_000_000_000_000)

    /// A sign-in that failed, so many seconds after the start.
    private static func failure(
        _ seconds: Double, account: String? = "ann", ip: String? = "192.0.2.1", severity: Severity = .low, program: String? = nil,
        userID: UserID? = nil
    ) -> StoredEvent {
        let fields = [account.map { #""account":"\#($0)""# }, program.map { #""program":"\#($0)""# }].compactMap { $0 }
        return StoredEvent(
            id: SecurityEventID(.random()), occurredAt: start + .milliseconds(Int(seconds * 1000)), type: "authn_login_fail",
            severity: severity, userID: userID, ip: ip.flatMap { IPAddress($0) }, context: "{\(fields.joined(separator: ","))}")
    }

    private static func rule(
        by key: DetectionRule.Key = .account, count: Int = 3, within: Duration = .seconds(60),
        distinct: DetectionRule.DistinctKey? = nil, quiet: Duration? = nil,
        when condition: DetectionRule.Condition = .init(types: ["authn_login_fail"])
    ) -> DetectionRule {
        DetectionRule(
            name: "guessing", when: condition, by: key, count: count, within: within, distinct: distinct, quiet: quiet,
            raising: "malicious_guessing", severity: .critical, details: "{count} by {key}")
    }

    private static func detections(_ rule: DetectionRule, _ events: [StoredEvent]) -> [Detection] {
        var detector = Detector(rules: [rule])
        return detector.add(events)
    }

    @Test(
        "so many events within the time are a detection, and fewer or slower ones are not",
        arguments: [
            ([0.0, 30, 60], 1), ([0, 30, 60.001], 0), ([0, 30], 0), ([0, 0, 0], 1), ([0, 50, 100, 150, 151, 152], 1), ([], 0),
        ] as [([Double], Int)])
    func threshold(seconds: [Double], count: Int) {
        let found = Self.detections(Self.rule(), seconds.map { Self.failure($0) })
        #expect(found.count == count)
        #expect(found.allSatisfy { $0.count == 3 && $0.key == "ann" })
    }

    @Test("a detection has its evidence: how many, from when until when, and the latest events")
    func evidence() {
        let events = (0..<12).map { Self.failure(Double($0)) }
        let found = Self.detections(Self.rule(count: 12), events)
        #expect(found.count == 1)
        #expect(found.first?.count == 12)
        #expect(found.first?.first == events[0].occurredAt)
        #expect(found.first?.last == events[11].occurredAt)
        #expect(found.first?.events == events.reversed().prefix(10).map(\.id))
    }

    @Test("keys are counted apart, and events without the key are not counted")
    func keys() {
        let ann = UserID(.random())
        let byAccount = Self.detections(
            Self.rule(),
            [
                Self.failure(0, account: "ann"), Self.failure(1, account: "ben"), Self.failure(2, account: "ann"),
                Self.failure(3, account: nil), Self.failure(4, account: "cleo", userID: ann),
                Self.failure(5, account: nil, userID: ann), Self.failure(6, account: "dan", userID: ann),
            ])
        #expect(byAccount.map(\.key) == [ann.description])
        let byNetwork = Self.detections(
            Self.rule(by: .network),
            ["2001:db8::1", "2001:db8::2", "2001:db8::3", nil].enumerated().map { Self.failure(Double($0), ip: $1) })
        #expect(byNetwork.map(\.key) == ["2001:db8::/64"])
    }

    @Test("different values are counted once each, as long as they are within the time")
    func distinctValues() {
        let rule = Self.rule(by: .ip, distinct: .account)
        let same = Self.detections(rule, (0..<10).map { Self.failure(Double($0), account: "ann") })
        #expect(same.isEmpty)
        let names = ["ann", "ben", "ann", "cleo"].enumerated()
        let different = Self.detections(rule, names.map { Self.failure(Double($0), account: $1) })
        #expect(different.map(\.count) == [3])
        let slow = Self.detections(rule, ["ann", "ben", "cleo"].enumerated().map { Self.failure(Double($0) * 40, account: $1) })
        #expect(slow.isEmpty)
    }

    @Test("only events that meet the rule's condition are counted")
    func condition() {
        let rule = Self.rule(
            when: .init(types: ["authn_login_fail"], minimumSeverity: .medium, context: ["program": ["sshd", "sshd-session"]]))
        let meeting = ["sshd", "sshd-session", "sshd"].enumerated().map { Self.failure(Double($0), severity: .high, program: $1) }
        let others = [
            Self.failure(0, severity: .low, program: "sshd"), Self.failure(1, severity: .high, program: "sudo"),
            Self.failure(2, severity: .high),
        ]
        #expect(Self.detections(rule, meeting).count == 1)
        #expect(Self.detections(rule, others + meeting.dropLast()).isEmpty)
        let odd = StoredEvent(
            id: SecurityEventID(.random()), occurredAt: Self.start, type: "authn_login_fail", severity: .high, context: "{not JSON")
        #expect(Self.detections(rule, [odd]).isEmpty)
    }

    @Test("while it goes on, a rule is met again only after its quiet time")
    func quiet() {
        let found = Self.detections(Self.rule(quiet: .seconds(100)), (0..<300).map { Self.failure(Double($0)) })
        #expect(found.map(\.last) == [2, 102, 202].map { Self.start + .seconds($0) })
    }

    @Test("events that come late or twice, in any order and in any portions, come to the same")
    func anyOrder() {
        let rule = Self.rule(count: 5, quiet: .seconds(1000))
        let events = (0..<4).map { Self.failure(Double($0 * 10)) } + (0..<5).map { Self.failure(500 + Double($0 * 10)) }
        for _ in 0..<100 {
            var detector = Detector(rules: [rule])
            var found: [Detection] = []
            var rest = (events + events).shuffled()[...]
            while !rest.isEmpty {
                let size = Int.random(in: 1...rest.count)
                found += detector.add(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            #expect(found.map(\.last) == [events[8].occurredAt])
        }
    }

    @Test("keys are found exactly where counting by hand finds them")
    func comparison() {
        for _ in 0..<50 {
            let rule = Self.rule(by: .ip, count: 4, within: .seconds(20), distinct: Bool.random() ? .account : nil)
            let events = (0..<120).map { _ in
                Self.failure(
                    Double.random(in: 0...300), account: "account\(Int.random(in: 0..<5))", ip: "192.0.2.\(Int.random(in: 0..<8))")
            }
            var detector = Detector(rules: [rule])
            let found = Set(events.map { detector.add([$0]) }.joined().map(\.key))
            let expected = Dictionary(grouping: events) { $0.ip!.description }.filter { _, events in
                events.contains { last in
                    let window = events.filter { (.zero...Duration.seconds(20)).contains(last.occurredAt - $0.occurredAt) }
                    let accounts = Set(window.map { $0.value(of: DetectionRule.Key.account) })
                    return (rule.distinct == nil ? window.count : accounts.count) >= 4
                }
            }
            #expect(found == Set(expected.keys))
        }
    }

    @Test("what came long ago is forgotten, so that memory is bounded")
    func capacity() {
        var detector = Detector(rules: [Self.rule()], capacity: 10)
        _ = detector.add([Self.failure(0), Self.failure(1)])
        for number in 0..<100 { _ = detector.add([Self.failure(2, account: "other\(number)")]) }
        #expect(detector.add([Self.failure(3)]).isEmpty)
        #expect(!detector.add([Self.failure(4), Self.failure(5)]).isEmpty)
    }
}
