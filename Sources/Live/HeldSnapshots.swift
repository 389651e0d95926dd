import Domain
import Logging
import Postgres
import Store

/// Moments of the database that are kept for a while, so that several HTTP queries can be answered as of one of them
/// (`consistentQuery` of the JavaScript client).
///
/// Each is a transaction that a worker holds open. Its snapshot is exported, so that any worker can read in it.
public actor HeldSnapshots {
    /// The moment is not held any more, or never was.
    public struct Expired: Error {}

    private struct Held {
        let position: LogPosition
        let holder: Task<Void, Never>
    }

    private let database: PostgresClient
    private let logger: Logger
    private var held: [Held] = []

    /// How long a moment is kept at most; the real service's figure.
    private static let retention = Duration.seconds(30)

    /// - Parameter database: for this purpose alone; each of its leases holds one moment. When all do, the oldest goes.
    public init(database: PostgresClient, logger: Logger) {
        self.database = database
        self.logger = logger
    }

    /// Holds the present moment, and gives its timestamp.
    public func hold() async throws -> LogPosition {
        while held.count >= database.configuration.leases { held.removeFirst().holder.cancel() }
        let (opened, continuation) = AsyncThrowingStream.makeStream(of: LogPosition.self)
        // Owned by `held`, which cancels it, and ended by the retention.
        let holder = Task { [database, logger] in
            do {
                try await database.withTransaction(.snapshot) { snapshot in
                    guard let row = try await snapshot.execute(Self.export()).first,
                        let position = LogPosition(try row.decode(1, as: String.self))
                    else { throw Expired() }
                    let id: String = try row.decode(0)
                    _ = try await database.write(Self.remember(Int64(position.rawValue), id, Instant.now() + Self.retention))
                    continuation.yield(position)
                    continuation.finish()
                    try await Task.sleep(for: Self.retention)
                }
            } catch is CancellationError {
            } catch {
                logger.debug("a held snapshot was lost", metadata: ["error": "\(error)"])
                continuation.finish(throwing: error)
            }
        }
        for try await position in opened {
            held.append(Held(position: position, holder: holder))
            return position
        }
        throw Expired()
    }

    /// Runs `body` in the snapshot held at `position`, by whichever worker. Throws `Expired` when there is none.
    public nonisolated func read<Value: Sendable>(
        at position: LogPosition, in reader: PostgresClient, _ body: @Sendable (Transaction) async throws -> Value
    ) async throws -> Value {
        guard let key = Int64(exactly: position.rawValue), let row = try await reader.read(Self.find(key)).first,
            let id = SnapshotID(try row.decode(0))
        else { throw Expired() }
        do {
            return try await reader.withTransaction(.importedSnapshot(id)) { try await body($0) }
        } catch let error as PostgresError where error.statement == "transaction.import_snapshot" && error.kind == .server {
            throw Expired()
        }
    }

    private static let export = Statement("snapshots.export", "SELECT pg_export_snapshot(), pg_current_wal_insert_lsn()::text")

    private static let remember = Statement(
        "snapshots.remember",
        """
        WITH expired AS (
            DELETE FROM held_snapshots
            WHERE expires_at < now()
              AND position <> $1
        )
        INSERT INTO held_snapshots (position, snapshot_id, expires_at)
        VALUES ($1, $2, $3)
        ON CONFLICT (position) DO UPDATE
        SET snapshot_id = excluded.snapshot_id, expires_at = excluded.expires_at
        """)

    private static let find = Statement(
        "snapshots.find",
        """
        SELECT held_snapshots.snapshot_id
        FROM held_snapshots
        WHERE held_snapshots.position = $1
          AND held_snapshots.expires_at > now()
        """)
}
