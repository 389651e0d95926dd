import Domain
import Postgres

/// How far attune-metrics has come.
public enum CountedFacts {
    /// When the oldest of the calls that are not added up was reported; nil when all are.
    public static func oldestWaiting(in database: some StatementExecutor) async throws -> Instant? {
        try await database.execute(oldest()).first?.decode(0)
    }

    private static let oldest = Statement(
        "counted_facts.oldest",
        """
        SELECT recorded_at
        FROM function_calls
        WHERE stored_by >= pg_snapshot_xmax(counted_facts())::text::bigint
        ORDER BY stored_by
        LIMIT 1
        """)
}
