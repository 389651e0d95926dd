import Domain

/// How an aggregator is doing.
public struct AggregatorStatus: Sendable {
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
    /// How long the oldest facts that were still to be counted when the last turn ended have been waiting; nil when there were none.
    public internal(set) var behindSince: Instant?
    /// Why the last turn failed; nil when it did not.
    public internal(set) var problem: String?
}

/// How many facts of each kind were counted.
public struct FactCounts: Equatable, Sendable {
    public var messages = 0
    public var users = 0
    public var activity = 0
    public var calls = 0

    public var total: Int { messages + users + activity + calls }
}
