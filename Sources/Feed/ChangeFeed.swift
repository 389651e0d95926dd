import Domain
import Store

/// One committed transaction, as far as live queries care.
public struct Commit: Equatable, Sendable {
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
    ///
    /// Every commit that is not delivered afterwards is visible to snapshots that are taken from now on.
    case connected
    /// Commits in commit order. With them, every commit up to `position` has been delivered, and is on the disk.
    case commits([Commit], upTo: LogPosition)
    /// No commit is delivered until the next `connected`. What there was since the last `commits` may be missed.
    case disconnected
    /// Commits cannot be delivered, and anything may have changed: it is time to look at a snapshot. Says nothing while
    /// connected.
    case poll
}

/// The stream of the database's commits. Nothing outside this module knows where it comes from.
public protocol ChangeFeed: Sendable {
    /// Delivers events to `receive` until the task is cancelled. Reconnects by itself. The receiver takes one event at a time.
    func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async
}
