import Domain
import Postgres
import Store

/// What there is to do. Costs a few look-ups in indexes, however many events are stored.
struct WatchState {
    let hasUncountedEvents: Bool
    /// Rows whose transactions are still to come, as they are in a database that was restored from a dump.
    let hasForeignEvents: Bool
    /// Since the snapshot that was asked for.
    let hasNewEvents: Bool
    /// When an event occurred that is in the default partition and should not be.
    let strayEvent: Instant?
    let hasExpiredEvents: Bool
    let level: SecurityLevel
    /// The hour that is running.
    let hour: Instant

    /// - Parameter seen: a snapshot's text; nil: one that sees nothing.
    init(in database: PostgresClient, seen: String?, retentionDays: Int) async throws {
        guard let row = try await database.read(Self.look(seen, retentionDays, PartitionUpkeep.monthsAhead)).first else {
            preconditionFailure("a SELECT without FROM has a row")
        }
        hasUncountedEvents = try row.decode(0)
        hasForeignEvents = try row.decode(1)
        hasNewEvents = try row.decode(2)
        strayEvent = try row.decode(3)
        hasExpiredEvents = try row.decode(4)
        level = try row.decode(5)
        hour = try row.decode(6)
    }

    private static let look = Statement(
        "watch.look",
        """
        SELECT
            has_new_security_events(counted_security_events()),
            coalesce(
                (
                    SELECT stored_by >= pg_snapshot_xmax(pg_current_snapshot())
                    FROM security_events
                    ORDER BY stored_by DESC
                    LIMIT 1
                ), false),
            $1::text IS NULL OR has_new_security_events($1::text::pg_snapshot),
            (
                SELECT occurred_at
                FROM security_events_other
                WHERE occurred_at >= now() - $2 * interval '1 day'
                  AND occurred_at
                      < (date_trunc('month', now() AT TIME ZONE 'UTC') + ($3 + 1) * interval '1 month') AT TIME ZONE 'UTC'
                ORDER BY occurred_at
                LIMIT 1
            ),
            coalesce(
                (SELECT occurred_at < now() - $2 * interval '1 day' FROM security_events ORDER BY occurred_at LIMIT 1), false),
            \(SecurityLevelStore.expression),
            date_trunc('hour', now(), 'UTC')
        """)
}
