import Domain
import Logging
import Postgres
import Synchronization

/// Reads commits through a temporary logical replication slot of its own (`pgoutput`).
///
/// The slot dies with its connection: a dead worker holds nothing back. Losing the connection means beginning anew with a
/// new slot, and telling the receiver that anything may have changed.
public struct LogicalSlotFeed: ChangeFeed {
    private let connection: ConnectionSettings
    private let logger: Logger

    /// - Parameter connection: straight to the server: replication does not pass through PgBouncer.
    public init(connection: ConnectionSettings, logger: Logger) {
        self.connection = connection
        self.logger = logger
    }

    public func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async {
        await beginAnewUntilCancelled(logger: logger, receive) {
            let replication = try await ReplicationConnection.open(connection)
            defer { replication.close() }
            try await stream(through: replication, receive)
        }
    }

    /// Makes a slot and delivers its commits, as long as the connection lasts.
    func stream(through replication: ReplicationConnection, _ receive: (FeedEvent) async -> Void) async throws {
        let slot = "attune_\(UInt64.random(in: .min ... .max))"
        // Waits for the transactions that are running now.
        try await replication.run(
            "CREATE_REPLICATION_SLOT \(slot) TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')", name: "replication.create_slot")
        // A transaction whose commit record stands before the slot's beginning is not delivered, and may not be visible yet
        // either (it waits for a standby, say).
        try await replication.waitForTransactionsSoFar()
        try await replication.startStream(
            """
            START_REPLICATION SLOT \(slot) LOGICAL 0/0 (
                proto_version '1', publication_names 'attune,attune_requests', binary 'true', messages 'true')
            """)
        await receive(.connected)
        logger.info("the change feed is connected", metadata: ["slot": "\(slot)"])

        let progress = Progress()
        try await withThrowingTaskGroup { group in
            group.addTask { try await watch(replication, progress) }
            defer { group.cancelAll() }
            try await read(replication, progress, receive)
        }
    }

    private func read(
        _ replication: ReplicationConnection, _ progress: Progress, _ receive: (FeedEvent) async -> Void
    ) async throws {
        var decoder = CommitDecoder()
        var position = LogPosition.zero
        var confirmedAt = ContinuousClock.now
        while true {
            var commits: [Commit] = []
            var replyRequested = false
            for message in try await replication.messages(until: CommitDecoder.completes) {
                switch try decoder.decode(message) {
                case .commit(let commit):
                    position = max(position, commit.position)
                    if !commit.isEmpty { commits.append(commit) }
                case .keepalive(let sent, let wantsReply):
                    position = max(position, sent)
                    replyRequested = replyRequested || wantsReply
                case .partOfTransaction:
                    break
                }
            }
            progress.reach(position)
            await receive(.commits(commits, upTo: position))
            // Confirming lets the server forget the log behind us. Once a second is enough, and leaves the server behind
            // what it has sent most of the time, which is when it reports its progress before it sleeps.
            if replyRequested || ContinuousClock.now - confirmedAt > .seconds(1) {
                replication.confirm(position.rawValue)
                confirmedAt = .now
            }
        }
    }

    /// Asks a silent server whether it is there, and gives up on one that does not answer: a connection with nobody at its
    /// other end, or a sender that was stopped, would hold up all live queries.
    private func watch(_ replication: ReplicationConnection, _ progress: Progress) async throws {
        var silentSeconds = 0
        while true {
            try await Task.sleep(for: .seconds(1))
            let (position, hasMoved) = progress.sinceLastAsked()
            silentSeconds = hasMoved ? 0 : silentSeconds + 1
            guard silentSeconds < Self.patience else {
                logger.warning("the server has fallen silent", metadata: ["seconds": "\(silentSeconds)"])
                return replication.close()
            }
            if silentSeconds > 0 { replication.confirm(position.rawValue, requestReply: true) }
        }
    }

    /// Seconds of silence, each begun with a question, after which nobody is there.
    private static let patience = 5

    /// How far the stream has come, and whether it still comes.
    private final class Progress: Sendable {
        private let state = Mutex((position: LogPosition.zero, hasMoved: false))

        func reach(_ position: LogPosition) { state.withLock { $0 = (position, true) } }

        func sinceLastAsked() -> (position: LogPosition, hasMoved: Bool) {
            state.withLock { state in
                defer { state.hasMoved = false }
                return state
            }
        }
    }
}
