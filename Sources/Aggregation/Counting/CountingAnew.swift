import Postgres

/// What has to be done before everything is counted anew.
enum CountingAnew {
    /// How many rows of each table one transaction renumbers.
    private static let portionSize = 20_000

    /// Gives rows with numbers of transactions that are still to come, as they are in a database that was restored from a dump, the
    /// number of this one. Gives how many it has changed, at most a portion of each table.
    static func renumberPortion(beyond present: TransactionSnapshot, in transaction: Transaction) async throws -> Int {
        try await transaction.execute(renumber.map { $0(present.next, portionSize) }).reduce(0) { $0 + $1.affectedRows }
    }

    /// Forgets all sums that can be computed again. What is from the time before `facts_since` stays, but for messages and
    /// accounts, which are kept for ever.
    static func forget(in transaction: Transaction) async throws {
        _ = try await transaction.execute(forget.map { $0() })
    }

    private static let renumber = ["messages", "users", "session_activity", "function_calls"].map { table in
        Statement(
            "aggregation.renumber_\(table)",
            """
            UPDATE \(table)
            SET stored_by = DEFAULT
            WHERE ctid = ANY (ARRAY(SELECT ctid FROM \(table) WHERE stored_by >= $1 LIMIT $2))
            """)
    }

    private static let forget = [
        Statement(
            "aggregation.forget_sums",
            "DELETE FROM rollups USING metrics_progress WHERE rollups.starts_at >= metrics_progress.facts_since"),
        Statement("aggregation.forget_rows", "UPDATE rollups SET messages = 0, new_users = 0"),
        Statement(
            "aggregation.forget_calls",
            "DELETE FROM call_rollups USING metrics_progress WHERE call_rollups.starts_at >= metrics_progress.facts_since"),
        // Visits that had begun before are cut there, and get longer again.
        Statement(
            "aggregation.cut_lengths",
            """
            INSERT INTO visit_lengths (day, seconds, visits)
            SELECT date_bin('1 day', visits.started_at, \(Calendar.origin)),
                floor(date_part('epoch', forms.last_active_at - visits.started_at))::bigint, sum(forms.change)
            FROM metrics_progress
            JOIN visits ON visits.started_at < metrics_progress.facts_since AND visits.last_active_at > metrics_progress.facts_since
            CROSS JOIN LATERAL (
                VALUES (visits.last_active_at, -1), (metrics_progress.facts_since, 1)
            ) AS forms (last_active_at, change)
            GROUP BY 1, 2
            HAVING sum(forms.change) <> 0
            ON CONFLICT ON CONSTRAINT visit_lengths_pkey DO UPDATE SET visits = visit_lengths.visits + excluded.visits
            """),
        Statement(
            "aggregation.cut_visits",
            """
            UPDATE visits
            SET last_active_at = metrics_progress.facts_since
            FROM metrics_progress
            WHERE visits.started_at < metrics_progress.facts_since AND visits.last_active_at > metrics_progress.facts_since
            """),
        Statement(
            "aggregation.forget_visits",
            "DELETE FROM visits USING metrics_progress WHERE visits.started_at >= metrics_progress.facts_since"),
        Statement(
            "aggregation.forget_lengths",
            "DELETE FROM visit_lengths USING metrics_progress WHERE visit_lengths.day >= metrics_progress.facts_since"),
        Statement(
            "aggregation.forget_active_users",
            "DELETE FROM active_users USING metrics_progress WHERE active_users.starts_at >= metrics_progress.facts_since"),
        Statement(
            "aggregation.forget_cohort_weeks",
            "DELETE FROM cohort_weeks USING metrics_progress WHERE cohort_weeks.week >= metrics_progress.facts_since"),
        Statement(
            "aggregation.forget_last_activity",
            "DELETE FROM user_activity USING metrics_progress WHERE user_activity.last_active_at >= metrics_progress.facts_since"),
        Statement(
            "aggregation.begin_anew",
            """
            INSERT INTO metrics_progress (seen)
            VALUES ('1:1:')
            ON CONFLICT ON CONSTRAINT metrics_progress_pkey
            DO UPDATE SET seen = excluded.seen, written_by = pg_current_xact_id()
            """),
    ]
}
