import Domain
import Reporting
import TestSupport
import Testing
import Wire

@Suite struct SecurityLogTests {
    private let reporter = RecordingReporter()
    private let clock = MovableClock()
    private let log: SecurityLog

    init() {
        log = SecurityLog(source: "test", reporter: reporter, now: { [clock] in clock.now })
    }

    private func refuse(_ series: String, count: Int = 1, individually: Int = 3) {
        for number in 1...count {
            log.report(
                SecurityEventType.accessRefused, .medium, "Refused.", context: [("number", .number(Double(number)))],
                series: .init(series, individually: individually))
        }
    }

    @Test("an event tells who, from where, by which call, and what else is known")
    func fields() throws {
        let (user, session) = (UserID(.random()), SessionID(.random()))
        let address = IPAddress("192.0.2.1")!
        log.report(
            SecurityEventType.adminAction, .low, "A sentence.", user: user, session: session,
            origin: CallOrigin(address: address, function: "admin:getSystemMetrics", requestID: "1f"),
            context: [("outcome", .string("success"))])
        let event = try #require(reporter.events.first)
        #expect(event.source == "test" && event.type == "authz_admin" && event.severity == .low && event.details == "A sentence.")
        #expect(event.userID == user && event.ip == address && event.occurredAt == clock.now && event.id == nil)
        let context = #"{"session":"\#(session)","function":"admin:getSystemMetrics","requestId":"1f","outcome":"success"}"#
        #expect(event.context == context)
    }

    @Test("an event without a call and without more to say has no context")
    func startup() throws {
        log.report(SecurityEventType.startup, .low, "Started.")
        let event = try #require(reporter.events.first)
        #expect(event.context == nil && event.ip == nil && event.userID == nil)
    }

    @Test("of a flood the first events come one by one, and then, when the minute is over, one with the number of the others")
    func flood() throws {
        refuse("a", count: 1000)
        #expect(reporter.events.count == 3)
        log.reportSummaries()
        #expect(reporter.events.count == 3)
        clock.advance(by: .seconds(60))
        log.reportSummaries()
        #expect(reporter.events.count == 4)
        let summary = try #require(reporter.events.last)
        #expect(summary.context == #"{"number":1000,"count":997}"#)
        #expect(summary.details == "Refused. This happened 997 more times within a minute.")
        log.reportSummaries()
        #expect(reporter.events.count == 4)
    }

    @Test("the next minute's first events come one by one again, behind the last minute's number")
    func nextMinute() {
        refuse("a", count: 5)
        clock.advance(by: .seconds(61))
        refuse("a")
        let contexts = [#"{"number":1}"#, #"{"number":2}"#, #"{"number":3}"#, #"{"number":5,"count":2}"#, #"{"number":1}"#]
        #expect(reporter.events.map(\.context) == contexts)
    }

    @Test("series, and types, are counted apart")
    func apart() {
        refuse("a", count: 4)
        refuse("b", count: 2)
        log.report(SecurityEventType.rateLimited, .medium, "Too many.", series: .init("a"))
        #expect(reporter.events.count == 6)
    }

    @Test("what is withheld is reported when the process ends")
    func end() {
        refuse("a", count: 5)
        log.finish()
        #expect(reporter.events.count == 4)
        log.finish()
        #expect(reporter.events.count == 4)
    }

    @Test("a flood from ever new addresses is short, and every event of it is counted")
    func manySeries() throws {
        for number in 0..<20_000 { refuse("\(number)", individually: 2) }
        // A thousand series with one event each, and two of all others.
        #expect(reporter.events.count == 1002)
        log.finish()
        let summary = try #require(reporter.events.last)
        #expect(reporter.events.count == 1003 && summary.context == #"{"number":1,"count":18998}"#)
        // The others have not taken anybody's place for good.
        clock.advance(by: .seconds(60))
        refuse("later", individually: 2)
        #expect(reporter.events.count == 1004)
    }

    @Test("an event that counts for itself is reported each time")
    func noSeries() {
        for _ in 0..<100 { log.report(SecurityEventType.loginFail, .medium, "Wrong.") }
        #expect(reporter.events.count == 100)
    }
}
