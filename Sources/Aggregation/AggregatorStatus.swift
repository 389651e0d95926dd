import Domain

/// How an aggregator is doing.
public struct AggregatorStatus: Sendable {
    /// What it is among several.
    public enum Role: String, Sendable {
        /// No turn has ended yet.
        case starting
        /// It did the last turn.
        case leading
        /// Another one was at it.
        case standingBy = "standing by"
    }

    public internal(set) var role = Role.starting
    /// When the last turn ended well, as a leader or standing by.
    public internal(set) var lastTurnEnded: Instant?
    /// How long the last turn as a leader took.
    public internal(set) var lastTurnDuration: Duration?
    /// What has been counted since the program began.
    public internal(set) var counted = FactCounts()
    /// Since when there have been facts to count, at the latest; nil when the last turn left none, and for one that stands by.
    public internal(set) var behindSince: Instant?
    /// Why the last turn failed; nil when it did not.
    public internal(set) var problem: String?

    mutating func note(_ outcome: Turn.Outcome, took duration: Duration) {
        let now = Instant.now()
        switch outcome {
        case .standsBy:
            role = .standingBy
            behindSince = nil
        case .led(let counted, let isBehind):
            role = .leading
            lastTurnDuration = duration
            self.counted += counted
            behindSince = isBehind ? behindSince ?? now - duration : nil
        }
        lastTurnEnded = now
        problem = nil
    }

    mutating func note(_ error: any Error) {
        problem = "\(error)"
        // For all that it knows, nobody has counted since.
        behindSince = behindSince ?? lastTurnEnded
    }
}

/// How many facts of each kind were counted.
public struct FactCounts: Equatable, Sendable {
    public var messages = 0
    /// New accounts.
    public var users = 0
    /// Rows of session_activity.
    public var activity = 0
    /// Rows of function_calls.
    public var calls = 0

    public init(messages: Int = 0, users: Int = 0, activity: Int = 0, calls: Int = 0) {
        self.messages = messages
        self.users = users
        self.activity = activity
        self.calls = calls
    }

    public var total: Int { messages + users + activity + calls }

    static func += (left: inout FactCounts, right: FactCounts) {
        left.messages += right.messages
        left.users += right.users
        left.activity += right.activity
        left.calls += right.calls
    }
}
