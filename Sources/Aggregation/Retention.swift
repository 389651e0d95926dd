import Postgres

/// Deletes facts and sums that are too old.
enum Retention {
    /// How many rows of each table one transaction deletes.
    static let portionSize = 5_000

    /// Gives whether that was all.
    static func deletePortion(in transaction: Transaction) async throws -> Bool {
        try await transaction.execute(deletions.map { $0(portionSize) }).allSatisfy { $0.affectedRows < portionSize }
    }

    private static let deletions = [
        // What is before `facts_since` has been counted, or is left out.
        deletion("session_activity", where: "last_at < (SELECT facts_since FROM metrics_progress)"),
        deletion("function_calls", where: "recorded_at < (SELECT facts_since FROM metrics_progress)"),
        deletion("visits", where: "last_active_at <= (SELECT facts_since - interval '30 minutes' FROM metrics_progress)"),
        deletion("active_users", where: "unit = 'hour' AND starts_at < (SELECT facts_since FROM metrics_progress)"),
        deletion("active_users", where: "unit = 'day' AND starts_at < (SELECT facts_since FROM metrics_progress)"),
        deletion(
            "active_users", where: "unit = 'week' AND starts_at < (SELECT facts_since - interval '6 days' FROM metrics_progress)"),
        // As long as `rollup_buckets` has them.
        deletion("rollups", where: "unit = 'minute' AND starts_at < now() - interval '48 hours'"),
        deletion("rollups", where: "unit = 'hour' AND starts_at < now() - interval '60 days'"),
        deletion("call_rollups", where: "unit = 'minute' AND starts_at < now() - interval '48 hours'"),
        deletion("call_rollups", where: "unit = 'hour' AND starts_at < now() - interval '60 days'"),
        deletion("visit_lengths", where: "day < now() - interval '60 days'"),
        // Visits that had been as long for a while.
        deletion("visit_lengths", where: "visits = 0"),
        deletion("hosts", where: "reported_at < now() - interval '1 day'"),
    ]

    private static func deletion(_ table: String, where condition: String) -> Statement {
        Statement(
            "aggregation.expire_\(table)",
            """
            DELETE FROM \(table)
            WHERE ctid = ANY (ARRAY(SELECT ctid FROM \(table) WHERE \(condition) LIMIT $1))
            """)
    }
}
