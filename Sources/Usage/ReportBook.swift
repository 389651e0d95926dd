import DequeModule
import Domain
import Store

/// A worker's reports: what belongs into the next one, and which are not known to be stored.
///
/// A report that was handed out never changes, so that it can be stored again under its number. As long as it waits, newer facts
/// are gathered: one report for each ten minutes, so that a PostgreSQL that is away for days costs little memory, and no number but
/// response times by the minute becomes less exact.
struct ReportBook: Sendable {
    /// A session's activity is reported at once when it is new, and then once in this time.
    static let sessionPause = Duration.seconds(60)
    /// A part of an hour, and shorter than the pause that ends a visit.
    private static let periodMicroseconds: Int64 = 600_000_000
    /// A week of ten minutes each: what is older comes too late to be counted, as raw facts are kept so long by default.
    private static let maximumWaiting = 1008

    private let worker: UUIDBits
    private let maximumSessions: Int
    private var number = 0
    /// What is in no report yet.
    private var open = UsageNotes()
    /// When the last of it came.
    private var openAt = Instant.distantPast
    /// When the sessions were last reported, of the last minute.
    private var reportedAt: [SessionID: Instant] = [:]
    /// Those that are not known to be stored, the oldest first.
    private var waiting: Deque<UsageReport> = []
    /// Of how many sessions they tell.
    private var waitingSessions = 0
    /// Facts that were given up because of their age: rows of the tables.
    private var outdated = 0

    init(worker: UUIDBits, maximumSessions: Int) {
        self.worker = worker
        self.maximumSessions = maximumSessions
    }

    /// The report that is to be stored before all others; nil when none waits.
    var next: UsageReport? { waiting.first }
    var waitingCount: Int { waiting.count }

    mutating func add(_ notes: UsageNotes, at now: Instant) {
        if openAt.microseconds / Self.periodMicroseconds != now.microseconds / Self.periodMicroseconds {
            makeReport()
        }
        open.add(notes, limit: maximumSessions - waitingSessions)
        openAt = now
    }

    /// Makes a report of what is due, unless one waits already.
    mutating func close() {
        if waiting.isEmpty { makeReport() }
    }

    /// Makes a report of all that there is.
    mutating func closeForGood() {
        makeReport(ofEverything: true)
    }

    /// The next report is stored.
    mutating func noteStored() {
        waitingSessions -= waiting.removeFirst().activity.count
    }

    /// How many facts were given up since the last time.
    mutating func takeLost() -> Int {
        defer { (outdated, open.lostActivity) = (0, 0) }
        return outdated + open.lostActivity
    }

    private mutating func makeReport(ofEverything: Bool = false) {
        // Also when the clock was set back.
        reportedAt = reportedAt.filter { (.zero..<Self.sessionPause).contains(openAt - $0.value) }
        let sessions = open.activity.keys.filter { ofEverything || reportedAt[$0] == nil }
        let activity = open.removeActivity(of: sessions)
        let calls = open.calls.map { $1.calls(of: $0) }
        open.calls = [:]
        for entry in activity.prefix(maximumSessions - reportedAt.count) { reportedAt[entry.session] = openAt }
        guard !calls.isEmpty || !activity.isEmpty else { return }
        number += 1
        waiting.append(UsageReport(worker: worker, number: number, recordedAt: openAt, calls: calls, activity: activity))
        waitingSessions += activity.count
        if waiting.count > Self.maximumWaiting {
            let oldest = waiting.removeFirst()
            waitingSessions -= oldest.activity.count
            outdated += oldest.calls.count + oldest.activity.count
        }
    }
}
