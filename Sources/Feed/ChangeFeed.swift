import Domain
import Store

/// One committed transaction, as far as live queries care.
public struct Commit: Sendable {
    /// PostgreSQL's transaction id without its epoch. Whether a snapshot sees the commit is asked by it.
    public let transactionID: UInt32
    /// The end of the commit record: the commit's timestamp in the sync protocol.
    public let position: LogPosition
    public let topics: Set<Topic>
    /// Tables of which anything may have changed (TRUNCATE, a bulk writer's message): all their topics are touched.
    public let wholeTables: Set<FeedTable>
    /// The socket requests that this transaction answers.
    public let requests: [MutationRequest]

    public init(
        transactionID: UInt32, position: LogPosition, topics: Set<Topic>, wholeTables: Set<FeedTable> = [],
        requests: [MutationRequest] = []
    ) {
        self.transactionID = transactionID
        self.position = position
        self.topics = topics
        self.wholeTables = wholeTables
        self.requests = requests
    }

    var isEmpty: Bool { topics.isEmpty && wholeTables.isEmpty && requests.isEmpty }
}

/// What a feed tells.
public enum FeedEvent: Sendable {
    /// Commits are delivered from now on; anything may have changed before.
    case connected
    /// Commits in commit order. With them, every commit up to `position` has been delivered.
    case commits([Commit], upTo: LogPosition)
    /// Nothing can be said about commits until the next `connected`, and snapshots have to be looked at instead.
    case disconnected
}

/// The stream of the database's commits. Nothing outside this module knows where it comes from.
public protocol ChangeFeed: Sendable {
    /// Delivers events to `receive`, one at a time, until the task is cancelled. Reconnects by itself.
    func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async
}
