import Domain
import Histogram
import Store

/// Calls and activity of some time.
struct UsageNotes: Sendable {
    var calls: [String: CallTally] = [:]
    private(set) var activity: [SessionID: Stretch] = [:]
    /// How often activity was lost for want of room.
    var lostActivity = 0

    init(expectedSessions: Int = 0) {
        activity.reserveCapacity(expectedSessions)
    }

    /// - Parameter limit: how many sessions there may be.
    mutating func add(_ stretch: Stretch, of session: SessionID, limit: Int) {
        if activity[session]?.extend(by: stretch) != nil { return }
        if activity.count < limit { activity[session] = stretch } else { lostActivity += 1 }
    }

    mutating func add(_ other: UsageNotes, limit: Int) {
        calls.merge(other.calls) { $0.adding($1) }
        for (session, stretch) in other.activity { add(stretch, of: session, limit: limit) }
        lostActivity += other.lostActivity
    }

    /// Takes the activity of these sessions out.
    mutating func removeActivity(of sessions: [SessionID]) -> [SessionActivity] {
        sessions.compactMap { session in
            activity.removeValue(forKey: session).map { stretch in
                SessionActivity(session: session, user: stretch.user, first: stretch.first, last: stretch.last)
            }
        }
    }
}

/// When a session's calls came.
struct Stretch: Equatable, Sendable {
    let user: UserID
    private(set) var first: Instant
    private(set) var last: Instant

    init(_ user: UserID, _ arrival: Instant) {
        self.user = user
        first = arrival
        last = arrival
    }

    mutating func extend(by other: Stretch) {
        first = min(first, other.first)
        last = max(last, other.last)
    }
}

/// The calls of one function.
struct CallTally: Sendable {
    private(set) var failures = 0
    private(set) var microseconds = 0
    private var durations = Histogram<UInt64>(highestTrackableValue: Self.longest, numberOfSignificantValueDigits: .two)

    /// An hour; what takes longer is counted as that long. 26 KiB for each function.
    private static let longest: UInt64 = 3_600_000_000

    mutating func add(_ duration: Duration, hasFailed: Bool) {
        let (seconds, attoseconds) = duration.components
        let elapsed = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        microseconds += Int(elapsed)
        if hasFailed { failures += 1 }
        durations.record(min(UInt64(clamping: elapsed), Self.longest))
    }

    func adding(_ other: CallTally) -> CallTally {
        var sum = self
        sum.failures += other.failures
        sum.microseconds += other.microseconds
        sum.durations.add(other.durations)
        return sum
    }

    /// Durations within a hundredth of each other are one: the longest of them, which is the same in every process. Up to 255
    /// microseconds each is itself.
    func calls(of function: String) -> FunctionCalls {
        FunctionCalls(
            function: function, calls: Int(durations.totalCount), failedCalls: failures, microseconds: microseconds,
            distribution: durations.recordedValues().map { (Int($0.value), Int($0.count)) })
    }
}
