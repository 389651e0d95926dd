import Postgres

/// How many security events there are: what has been counted for good, and the rows that came since.
public enum SecurityStatistics {
    /// One statement, and so one snapshot. Its rows are what is counted (`severity`, `type`, `hour`, and `level`, which has no
    /// count), the name of it, the hour, and how many events. The most frequent type comes first, and of the 24 hours the oldest.
    public static func query(maximumTypes: Int) -> BoundStatement { statement(maximumTypes) }

    private static let statement = Statement(
        "security_events.statistics",
        """
        WITH progress AS MATERIALIZED (
            SELECT counted_security_events() AS seen
        ), uncounted AS MATERIALIZED (
            SELECT uncounted.type, uncounted.severity, uncounted.hour, uncounted.events
            FROM progress
            CROSS JOIN count_security_events(progress.seen, NULL) AS uncounted
        ), partitions AS MATERIALIZED (
            -- The counts hold for what was seen; of nothing there are none.
            SELECT inhrelid::regclass AS partition
            FROM pg_inherits, progress
            WHERE inhparent = 'security_events'::regclass AND progress.seen::text <> '1:1:'
        ), totals AS MATERIALIZED (
            SELECT type, severity, sum(events)::bigint AS events
            FROM (
                SELECT type, severity, events FROM security_event_totals JOIN partitions USING (partition)
                UNION ALL
                SELECT type, severity, events FROM uncounted
            ) AS both_parts
            GROUP BY 1, 2
        ), hours AS (
            SELECT hour, sum(events)::bigint AS events
            FROM (
                SELECT hour, events FROM security_event_hours JOIN partitions USING (partition)
                UNION ALL
                SELECT hour, events FROM uncounted
            ) AS both_parts
            WHERE hour > now() - interval '1 day'
            GROUP BY 1
        )
        SELECT 'level', \(SecurityLevelStore.expression), NULL::timestamptz, 0::bigint
        UNION ALL
        SELECT 'severity', severity, NULL, sum(events)::bigint FROM totals GROUP BY severity
        UNION ALL
        (SELECT 'type', type, NULL, sum(events)::bigint AS events FROM totals GROUP BY type HAVING sum(events) > 0
            ORDER BY events DESC, type LIMIT $1)
        UNION ALL
        SELECT 'hour', NULL, hour, coalesce(hours.events, 0)
        FROM generate_series(
            date_trunc('hour', now(), 'UTC') - interval '23 hours', date_trunc('hour', now(), 'UTC'), interval '1 hour') AS hour
        LEFT JOIN hours USING (hour)
        ORDER BY 1, 3, 4 DESC, 2
        """)
}
