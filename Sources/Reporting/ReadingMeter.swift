import Domain
import Synchronization
import Wire

/// How much of what people have confided to each other one result shows.
public struct Disclosure: Equatable, Sendable {
    public let rows: Int
    /// Tells the pages of one process apart.
    public let page: Int

    public init(rows: Int, page: Int) {
        self.rows = rows
        self.page = page
    }
}

/// Watches how much each user reads, and reports who reads very much within a few minutes: perhaps everything, to take it away.
///
/// The same page read again counts only for the rows it has gained: clients that ask again and again, or come back after an
/// interruption, are not many readers.
public final class ReadingMeter: Sendable {
    fileprivate struct Reader {
        let began: Instant
        /// The most rows that each page has shown.
        var pages: [Int: Int] = [:]
        var rows = 0
        var reported = 0
    }

    /// How long reading is added up.
    static let interval = Duration.seconds(300)
    /// Each time so many rows were read, an event is due.
    public static let rowsPerEvent = 1000
    /// Of one reader. Further pages count each time.
    static let maximumPages = 256
    /// One more, and another one is forgotten.
    static let maximumReaders = 2000

    private let log: SecurityLog
    private let now: @Sendable () -> Instant
    private let readers = Mutex<[UserID: Reader]>([:])

    /// - Parameter now: the wall clock.
    public init(log: SecurityLog, now: @escaping @Sendable () -> Instant = { .now() }) {
        self.log = log
        self.now = now
    }

    /// Notes what a call has shown its caller.
    public func note(_ disclosure: Disclosure, to reader: Principal, _ origin: CallOrigin) {
        guard disclosure.rows > 0 else { return }
        let user = reader.userID
        let now = now()
        let total = readers.withLock { readers -> Int? in
            if readers[user] == nil, readers.count >= Self.maximumReaders { Self.makeRoom(in: &readers, at: now) }
            if let reader = readers[user], reader.began + Self.interval <= now { readers[user] = nil }
            return readers[user, default: Reader(began: now)].note(disclosure)
        }
        guard let total else { return }
        log.report(
            SecurityEventType.sensitiveRead, .medium,
            "One reader was shown \(total) messages within \(Self.interval.components.seconds / 60) minutes.", user: user,
            session: reader.sessionID, origin: origin, context: [("count", .number(Double(total)))])
    }

    private static func makeRoom(in readers: inout [UserID: Reader], at now: Instant) {
        readers = readers.filter { $0.value.began + interval > now }
        if readers.count >= maximumReaders { readers.remove(at: readers.startIndex) }
    }
}

extension ReadingMeter.Reader {
    /// - Returns: how many rows were read altogether, when that is an event.
    fileprivate mutating func note(_ disclosure: Disclosure) -> Int? {
        let before = pages[disclosure.page] ?? 0
        rows += max(0, disclosure.rows - before)
        if before > 0 || pages.count < ReadingMeter.maximumPages { pages[disclosure.page] = max(before, disclosure.rows) }
        guard rows / ReadingMeter.rowsPerEvent > reported else { return nil }
        reported = rows / ReadingMeter.rowsPerEvent
        return rows
    }
}
