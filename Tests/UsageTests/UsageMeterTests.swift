import Domain
import Store
import Testing

@testable import Usage

@Suite struct UsageMeterTests {
    private let meter = UsageMeter()

    private func noted(_ function: String = "messages:list") -> FunctionCalls? {
        meter.take().calls[function]?.calls(of: function)
    }

    @Test("response times are exact up to 255 microseconds, and then the longest within a hundredth")
    func distribution() throws {
        for microseconds in [0, 1, 1, 255, 256, 257, 10_000, 10_040, 1_000_000] {
            meter.note("messages:list", by: .anonymous, took: .microseconds(microseconds), hasFailed: false)
        }
        let calls = try #require(noted())
        let expected = [(0, 1), (1, 2), (255, 1), (257, 2), (10_047, 2), (1_003_519, 1)]
        #expect(calls.distribution.elementsEqual(expected, by: ==), "\(calls.distribution)")
        #expect(calls.calls == 9 && calls.failedCalls == 0)
        #expect(calls.microseconds == 1_020_810)
        for (duration, _) in calls.distribution {
            meter.note("again", by: .anonymous, took: .microseconds(duration), hasFailed: false)
        }
        let again = try #require(noted("again"))
        #expect(again.distribution.map(\.duration) == calls.distribution.map(\.duration))
    }

    @Test("what takes longer than an hour is counted as an hour")
    func longest() throws {
        meter.note("messages:list", by: .anonymous, took: .seconds(86_400), hasFailed: true)
        let calls = try #require(noted())
        #expect(calls.failedCalls == 1 && calls.microseconds == 86_400_000_000)
        #expect(calls.distribution.count == 1)
        let duration = try #require(calls.distribution.first?.duration)
        #expect((3_600_000_000...3_636_000_000).contains(duration))
    }

    @Test("a session's activity is from the first call's arrival to the last one's; who is nobody has none")
    func activity() throws {
        let ana = Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user)
        let before = Instant.now()
        meter.note("messages:list", by: .user(ana), took: .zero, hasFailed: false)
        meter.note("messages:send", by: .user(ana), took: .seconds(10), hasFailed: false)
        meter.note("auth:signIn", by: .anonymous, took: .zero, hasFailed: false)
        let notes = meter.take()
        #expect(notes.calls.keys.sorted() == ["auth:signIn", "messages:list", "messages:send"])
        #expect(notes.activity.count == 1)
        let stretch = try #require(notes.activity[ana.sessionID])
        #expect(stretch.user == ana.userID && stretch.first < before && stretch.last >= before && stretch.last <= .now())
        let next = meter.take()
        #expect(next.calls.isEmpty && next.activity.isEmpty)
    }

    @Test("calls that are noted at once are all counted")
    func concurrency() async {
        let users = (0..<8).map { _ in Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user) }
        var sum = UsageNotes()
        await withTaskGroup { [meter] group in
            for user in users {
                group.addTask {
                    for _ in 0..<1000 { meter.note("messages:list", by: .user(user), took: .milliseconds(1), hasFailed: false) }
                }
            }
            for await _ in group { sum.add(meter.take(), limit: 100) }
        }
        sum.add(meter.take(), limit: 100)
        #expect(sum.calls["messages:list"]?.calls(of: "").calls == 8000)
        #expect(Set(sum.activity.keys) == Set(users.map(\.sessionID)))
    }
}
