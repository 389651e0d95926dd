import Postgres

/// Counts stored events, each once, so that statistics need not read the table.
/// `migrations/0009_store_security_events.sql` says how.
struct EventCounting {
    /// How many events one transaction counts: those who delete events wait for it.
    static let portionSize = 20_000

    /// Counts the next portion. Gives how many events there were in it; nil if another process is at it, or holds the counts in a
    /// transaction that deletes events.
    func countPortion(in database: PostgresClient) async throws -> Int? {
        try await database.asLeader { transaction in
            guard try await !transaction.execute(Self.lock()).isEmpty else { return nil }
            // A statement of its own, and so with a snapshot that was taken under the lock.
            let results = try await transaction.execute([Self.forgetTotals(), Self.forgetHours(), Self.count(Self.portionSize)])
            return try results[2].first?.decode(0) ?? 0
        } ?? nil
    }

    /// Gives rows with numbers of transactions that are still to come, as they are in a database that was restored from a dump, the
    /// number of this one. Gives how many it has changed, at most a portion.
    func renumberPortion(in database: PostgresClient) async throws -> Int? {
        try await database.asLeader { try await $0.execute(Self.renumber(Self.portionSize)).affectedRows }
    }

    private static let lock = Statement("watch.lock_counts", "SELECT id FROM security_event_progress FOR UPDATE SKIP LOCKED")

    // When nothing counts as counted, what is there is of another database, or to be counted anew.
    private static let forgetTotals = Statement(
        "watch.forget_totals", "DELETE FROM security_event_totals WHERE counted_security_events()::text = '1:1:'")
    private static let forgetHours = Statement(
        "watch.forget_hours", "DELETE FROM security_event_hours WHERE counted_security_events()::text = '1:1:'")

    private static let count = Statement(
        "watch.count",
        """
        WITH portion AS MATERIALIZED (
            SELECT counted.seen, next_security_events(counted.seen, $1) AS until
            FROM counted_security_events() AS counted (seen)
        ), counts AS MATERIALIZED (
            SELECT counts.partition, counts.hour, counts.type, counts.severity, counts.events
            FROM portion
            CROSS JOIN count_security_events(portion.seen, portion.until) AS counts
        ), by_type AS (
            INSERT INTO security_event_totals AS totals (partition, type, severity, events)
            SELECT partition, type, severity, sum(events)
            FROM counts
            GROUP BY partition, type, severity
            ON CONFLICT ON CONSTRAINT security_event_totals_pkey DO UPDATE SET events = totals.events + excluded.events
        ), by_hour AS (
            INSERT INTO security_event_hours AS hours (partition, hour, events)
            SELECT partition, hour, sum(events)
            FROM counts
            WHERE hour > now() - interval '2 days'
            GROUP BY partition, hour
            ON CONFLICT ON CONSTRAINT security_event_hours_pkey DO UPDATE SET events = hours.events + excluded.events
        )
        UPDATE security_event_progress
        SET seen = portion.until, written_by = pg_current_xact_id()
        FROM portion
        RETURNING (SELECT coalesce(sum(events), 0)::bigint FROM counts)
        """)

    private static let renumber = Statement(
        "watch.renumber",
        """
        UPDATE security_events
        SET stored_by = DEFAULT
        WHERE (occurred_at, id) IN (
            SELECT occurred_at, id
            FROM security_events
            WHERE stored_by >= pg_snapshot_xmax(pg_current_snapshot())
            ORDER BY stored_by DESC
            LIMIT $1)
        """)
}
