import Domain
import Logging
import Postgres

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
        var failures = 0
        while !Task.isCancelled {
            do {
                try await stream { event in
                    if case .connected = event { failures = 0 }
                    await receive(event)
                }
            } catch {
                guard !Task.isCancelled else { break }
                logger.warning("the change feed was lost; beginning anew", metadata: ["error": "\(error)"])
            }
            await receive(.disconnected)
            failures += 1
            let ceiling = min(2.0, 0.05 * Double(1 << min(failures, 10)))
            try? await Task.sleep(for: .seconds(Double.random(in: ceiling / 2...ceiling)))
        }
    }

    private func stream(_ receive: (FeedEvent) async -> Void) async throws {
        let replication = try await ReplicationConnection.open(connection)
        defer { replication.close() }
        let slot = "attune_\(UInt64.random(in: .min ... .max))"
        // Waits for the transactions that are running now. Meanwhile the receiver looks at snapshots.
        try await replication.run(
            "CREATE_REPLICATION_SLOT \(slot) TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')", name: "replication.create_slot")
        try await replication.startStream(
            """
            START_REPLICATION SLOT \(slot) LOGICAL 0/0 (
                proto_version '1', publication_names 'attune,attune_requests', binary 'true', messages 'true')
            """)
        await receive(.connected)
        logger.info("the change feed is connected", metadata: ["slot": "\(slot)"])

        var decoder = CommitDecoder()
        var position = LogPosition.zero
        var confirmedAt = ContinuousClock.now
        while true {
            var commits: [Commit] = []
            var replyRequested = false
            for message in try await replication.messages() {
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
            await receive(.commits(commits, upTo: position))
            // Confirming lets the server forget the log behind us. Once a second is enough, and leaves the server behind
            // what it has sent most of the time, which is when it reports its progress before it sleeps.
            if replyRequested || ContinuousClock.now - confirmedAt > .seconds(1) {
                replication.confirm(position.rawValue)
                confirmedAt = .now
            }
        }
    }
}
