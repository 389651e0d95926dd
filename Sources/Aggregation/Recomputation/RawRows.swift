/// Raw rows that have been counted, as parts of a WITH list.
enum RawRows {
    /// How far counting has come, and `units`, in which there are sums, with the time since when they are kept.
    static let progress = """
        progress AS MATERIALIZED (
            SELECT seen, facts_since FROM metrics_progress
        ), units (unit, kept_since) AS (
            VALUES ('minute', now() - interval '48 hours'), ('hour', now() - interval '1440 hours'), ('day', '-infinity')
        )
        """

    /// `facts`: activity of the time that is covered.
    static let facts = """
        facts AS MATERIALIZED (
            SELECT session_id, user_id, first_at, last_at
            FROM session_activity
            CROSS JOIN progress
            WHERE last_at >= facts_since AND \(hasBeenCounted("session_activity"))
        )
        """

    /// `raw_visits`, from `facts`: each fact keeps a session going for 30 minutes, and what overlaps or touches is one. What they
    /// were before the time that is covered is believed.
    static let visits = """
        raw_visits AS MATERIALIZED (
            SELECT session_id, user_id, lower(stretch) AS started_at,
                upper(stretch) - interval '29 minutes 59.999999 seconds' AS last_active_at
            FROM (
                SELECT session_id, min(user_id::text) AS user_id,
                    range_agg(tstzrange(first_at, last_at + interval '29 minutes 59.999999 seconds')) AS stretches
                FROM (
                    SELECT session_id, user_id, greatest(first_at, facts_since) AS first_at, last_at
                    FROM facts
                    CROSS JOIN progress
                    UNION ALL
                    SELECT session_id, user_id, started_at, least(last_active_at, facts_since)
                    FROM visits
                    CROSS JOIN progress
                    WHERE started_at < facts_since
                ) AS activity
                GROUP BY session_id
            ) AS sessions
            CROSS JOIN LATERAL unnest(stretches) AS stretch
        )
        """

    /// Whether a row of the table belongs to what has been counted.
    static func hasBeenCounted(_ table: String) -> String {
        "pg_visible_in_snapshot(\(table).stored_by::text::xid8, (SELECT seen FROM progress))"
    }
}
