import Domain
import Reporting
import TestSupport
import Testing

@Suite struct ReadingMeterTests {
    private let reporter = RecordingReporter()
    private let clock = MovableClock()
    private let meter: ReadingMeter
    private let reader = Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user)

    init() {
        let now: @Sendable () -> Instant = { [clock] in clock.now }
        meter = ReadingMeter(log: SecurityLog(source: "test", reporter: reporter, now: now), now: now)
    }

    private func read(_ rows: Int, page: Int, as reader: Principal? = nil) {
        meter.note(Disclosure(rows: rows, page: page), to: reader ?? self.reader, CallOrigin(address: IPAddress("192.0.2.1")!))
    }

    @Test("each thousand rows that one user reads are one event, with the number so far")
    func thousands() throws {
        for page in 0..<50 { read(50, page: page) }
        #expect(reporter.events.count == 2)
        let event = try #require(reporter.events.last)
        #expect(event.type == SecurityEventType.sensitiveRead && event.severity == .medium && event.userID == reader.userID)
        #expect(event.context == #"{"session":"\#(reader.sessionID)","count":2000}"#)
    }

    @Test("the sessions of a user count together, and users do not")
    func users() {
        let elsewhere = Principal(userID: reader.userID, sessionID: SessionID(.random()), role: .user)
        let other = Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user)
        read(600, page: 1)
        read(600, page: 2, as: other)
        #expect(reporter.events.isEmpty)
        read(600, page: 2, as: elsewhere)
        #expect(reporter.events.count == 1)
    }

    @Test("a page that is read again counts for what is new on it")
    func again() {
        for _ in 0..<100 { read(50, page: 1) }
        #expect(reporter.events.isEmpty)
        for rows in 51...999 { read(rows, page: 1) }
        #expect(reporter.events.isEmpty)
        read(1000, page: 1)
        #expect(reporter.events.count == 1)
    }

    @Test("reading slowly is no event")
    func slowly() {
        for page in 0..<20 {
            read(200, page: page)
            clock.advance(by: .seconds(120))
        }
        #expect(reporter.events.isEmpty)
    }

    @Test("however many readers and pages there are, memory is bounded and who reads most is found")
    func bounds() {
        for page in 0..<2000 { read(1, page: page) }
        #expect(reporter.events.count == 2)
        for _ in 0..<5000 { read(10, page: 1, as: Principal(userID: UserID(.random()), sessionID: reader.sessionID, role: .user)) }
        #expect(reporter.events.count == 2)
        let exporter = Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user)
        read(4000, page: 1, as: exporter)
        #expect(reporter.events.last?.userID == exporter.userID)
    }
}
