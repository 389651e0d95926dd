import Domain
import Store
import Testing

@testable import Usage

/// Which report tells of what, and when.
@Suite struct ReportBookTests {
    private static let start = Instant(microseconds: 1_790_000_400_000_000)
    private let meter = UsageMeter()
    private var book = ReportBook(worker: .random(), maximumSessions: 100)
    private var now = start
    private let ana = Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user)

    /// What has been noted goes into the book, `duration` later.
    private mutating func turn(after duration: Duration = .seconds(5)) {
        now = now + duration
        book.add(meter.take(), at: now)
        book.close()
    }

    /// A stretch of one session's activity, noted by hand, since the meter has a clock of its own.
    private mutating func act(_ principal: Principal, at arrival: Instant) {
        var notes = UsageNotes()
        notes.add(Stretch(principal.userID, arrival), of: principal.sessionID, limit: 10)
        book.add(notes, at: now)
    }

    @Test("a report that waits stays as it is, and has the first number")
    mutating func frozen() throws {
        meter.note("messages:list", by: .user(ana), took: .milliseconds(3), hasFailed: false)
        turn()
        let report = try #require(book.next)
        #expect(report.number == 1 && report.recordedAt == now)
        meter.note("messages:list", by: .user(ana), took: .milliseconds(3), hasFailed: true)
        turn()
        turn(after: .seconds(3600))
        #expect(book.next == report)
    }

    @Test("what comes while a report waits is one report for each ten minutes")
    mutating func outage() {
        for _ in 0..<3 {
            for _ in 0..<120 {
                meter.note("messages:list", by: .user(ana), took: .milliseconds(3), hasFailed: true)
                turn()
            }
        }
        // The first one was frozen with the first call; the others began on the clock's ten minutes, and the last is not over.
        var calls: [Int] = []
        var numbers: [Int] = []
        var moments: [Instant] = []
        while let report = book.next {
            calls.append(report.calls[0].calls)
            numbers.append(report.number)
            moments.append(report.recordedAt)
            #expect(report.calls[0].failedCalls == report.calls[0].calls)
            book.noteStored()
            book.close()
        }
        #expect(calls.reduce(0, +) == 360)
        #expect(numbers == Array(1...numbers.count) && numbers.count <= 5)
        #expect(moments == moments.sorted() && moments.last == now)
        #expect(zip(moments, moments.dropFirst()).allSatisfy { $1 - $0 <= .seconds(600) })
    }

    @Test("a new session is reported at once, and then once in a minute; nothing is left out")
    mutating func coalescing() throws {
        var reported: [SessionActivity] = []
        for step in 0..<30 {
            if step < 20 { act(ana, at: now) }
            turn()
            if let report = book.next {
                reported += report.activity
                book.noteStored()
            }
        }
        // Calls at 0, 5, … 95 seconds; reports after 5 seconds, and then after a minute each.
        let seconds = reported.map { [$0.first, $0.last].map { ($0 - Self.start) / .seconds(1) } }
        #expect(seconds == [[0, 0], [5, 60], [65, 95]])
        #expect(reported.allSatisfy { $0.user == ana.userID && $0.session == ana.sessionID })
    }

    @Test("the last report has everything")
    mutating func end() throws {
        act(ana, at: now)
        turn()
        book.noteStored()
        act(ana, at: now)
        turn()
        #expect(book.next == nil)
        book.closeForGood()
        #expect(book.next?.activity.map(\.first) == [Self.start + .seconds(5)])
    }

    @Test("a clock that is set back delays nothing")
    mutating func clockSetBack() {
        act(ana, at: now)
        turn()
        book.noteStored()
        turn(after: .seconds(-86_400))
        act(ana, at: now)
        turn(after: .seconds(1))
        #expect(book.next?.activity.count == 1)
    }

    @Test("the activity of more sessions than there is room for is lost and counted; their calls are not")
    mutating func fullOfSessions() {
        for _ in 0..<150 {
            let principal = Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user)
            meter.note("messages:list", by: .user(principal), took: .zero, hasFailed: false)
        }
        turn()
        #expect(book.next?.activity.count == 100 && book.next?.calls.first?.calls == 150)
        // Those that wait take the room of new ones.
        meter.note("messages:list", by: .user(ana), took: .zero, hasFailed: false)
        turn()
        #expect(book.takeLost() == 51)
        book.noteStored()
        meter.note("messages:list", by: .user(ana), took: .zero, hasFailed: false)
        turn()
        #expect(book.next?.activity.count == 1)
        #expect(book.takeLost() == 0)
    }

    @Test("of reports that wait for longer than a week, the oldest are given up and counted")
    mutating func week() throws {
        book = ReportBook(worker: .random(), maximumSessions: 10_000)
        for _ in 0..<(8 * 144) {
            meter.note("messages:list", by: .user(ana), took: .zero, hasFailed: true)
            turn(after: .seconds(600))
        }
        let oldest = try #require(book.next)
        #expect(book.waitingCount == 7 * 144 && now - oldest.recordedAt <= .seconds(7 * 86_400))
        // Each had the calls of one function and the activity of one session. What came last is in no report yet.
        #expect(book.takeLost() == (144 - 1) * 2)
    }
}
