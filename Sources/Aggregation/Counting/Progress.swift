import Domain
import Postgres

/// What has been counted.
struct Progress {
    /// The rows that this snapshot sees.
    let seen: TransactionSnapshot
    /// The present moment, seen with the lock in hand.
    let present: TransactionSnapshot
    /// False in a database that was restored from a dump, where transactions have other numbers.
    let isOurs: Bool
    /// Older facts of activity and calls are gone, or about to go.
    let factsSince: Instant
    /// How far back facts are to be kept, at this moment.
    let retentionBegin: Instant

    /// Takes the lock that keeps people's deletions and other counting away. Nil while somebody has it.
    static func lock(in transaction: Transaction, retentionDays: Int) async throws -> Progress? {
        guard try await !transaction.execute([shareTables(), lockRow()])[1].isEmpty else { return nil }
        // A statement of its own, and so with a snapshot that was taken under the lock.
        guard let row = try await transaction.execute(read(retentionDays)).first else { return nil }
        guard let seen = TransactionSnapshot(try row.decode(0)), let present = TransactionSnapshot(try row.decode(1)) else {
            preconditionFailure("PostgreSQL writes snapshots as xmin:xmax:xip,…")
        }
        return Progress(
            seen: seen, present: present, isOurs: try row.decode(2), factsSince: try row.decode(3),
            retentionBegin: try row.decode(4))
    }

    /// For statements that look for what is new. The planner does not know how much that is, and would read whole tables to find a
    /// few rows: they find all that they need by indexes.
    static func useIndexes(_ isOn: Bool) -> BoundStatement { plan(isOn ? "off" : "on") }

    static func advance(to seen: TransactionSnapshot, factsSince: Instant) -> BoundStatement {
        write(seen.description, factsSince)
    }

    /// Before the lock on the progress: TRUNCATE has them in this order too.
    private static let shareTables = Statement("aggregation.share_tables", "LOCK TABLE messages, users IN ACCESS SHARE MODE")

    private static let lockRow = Statement("aggregation.lock_progress", "SELECT id FROM metrics_progress FOR UPDATE SKIP LOCKED")

    private static let read = Statement(
        "aggregation.read_progress",
        """
        SELECT seen::text, pg_current_snapshot()::text, xmin::text::bigint = written_by::text::bigint & 4294967295, facts_since,
            date_trunc('day', now(), 'UTC') - $1 * interval '24 hours'
        FROM metrics_progress
        """)

    private static let plan = Statement(
        "aggregation.plan",
        """
        SELECT set_config('enable_seqscan', $1, true), set_config('enable_hashjoin', $1, true),
            set_config('enable_mergejoin', $1, true)
        """)

    private static let write = Statement(
        "aggregation.advance",
        """
        UPDATE metrics_progress
        SET seen = $1::text::pg_snapshot, facts_since = $2, written_by = pg_current_xact_id()
        """)
}
