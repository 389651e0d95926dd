import Domain
import Postgres

/// Statements that find where the results are not what raw rows say; see `SumComparison`. The size of the database follows from no
/// rows.
enum ResultComparison {
    static let all: [(table: String, statement: Statement)] = [
        ("system_metrics", systemMetrics), ("user_analytics", userAnalytics), ("user_analytics", series),
        ("user_analytics", cohorts),
    ]

    private static let systemMetrics = Statement(
        "recomputation.system_metrics",
        """
        WITH \(RawRows.progress), \(RawRows.facts), \(RawRows.visits), calls AS MATERIALIZED (
            SELECT calls, microseconds, durations, counts
            FROM function_calls
            WHERE recorded_at >= date_trunc('minute', now(), 'UTC') - interval '5 minutes'
                AND \(RawRows.hasBeenCounted("function_calls"))
        ), percentiles AS (
            SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration) AS durations
            FROM calls
            CROSS JOIN LATERAL unnest(durations, counts) AS histogram (duration, count)
            CROSS JOIN LATERAL generate_series(1, count)
        ), recomputed AS (
            SELECT (SELECT count(DISTINCT user_id) FROM facts WHERE last_at > now() - interval '30 minutes') AS active_users,
                (SELECT count(DISTINCT session_id) FROM facts WHERE last_at > now() - interval '30 minutes') AS active_sessions,
                (SELECT count(*) FROM raw_visits WHERE date_trunc('day', started_at, 'UTC') = date_trunc('day', now(), 'UTC'))
                    AS sessions_today,
                (SELECT count(*) FILTER (WHERE account_type = 'therapist' AND removed_at IS NULL) FROM users) AS total_therapists,
                (SELECT count(*) FILTER (WHERE account_type = 'client' AND removed_at IS NULL) FROM users) AS total_clients,
                (SELECT count(*) FROM messages WHERE \(RawRows.hasBeenCounted("messages"))) AS messages_sent,
                coalesce((SELECT round(sum(microseconds) / sum(calls) / 1000, 1) FROM calls HAVING sum(calls) > 0), 0)
                    AS avg_response_time,
                coalesce((SELECT round(durations[1] / 1000.0, 1) FROM percentiles), 0) AS response_time_p50,
                coalesce((SELECT round(durations[2] / 1000.0, 1) FROM percentiles), 0) AS response_time_p95,
                coalesce((SELECT round(durations[3] / 1000.0, 1) FROM percentiles), 0) AS response_time_p99,
                coalesce(
                    (
                        SELECT round(load::numeric, 2)
                        FROM hosts
                        WHERE reported_at > now() - interval '1 minute'
                        ORDER BY load DESC
                        LIMIT 1
                    ), 0) AS system_load,
                \(securityLevel) AS active_security_level
        )
        SELECT key, stored.value, recomputed.value
        FROM (SELECT key, value FROM system_metrics CROSS JOIN LATERAL jsonb_each_text(to_jsonb(system_metrics))) AS stored
        JOIN (SELECT key, value FROM recomputed CROSS JOIN LATERAL jsonb_each_text(to_jsonb(recomputed))) AS recomputed USING (key)
        WHERE CASE WHEN key = 'active_security_level' THEN stored.value <> recomputed.value
            ELSE stored.value::numeric <> recomputed.value::numeric END
        ORDER BY key
        LIMIT $1
        """)

    private static let securityLevel: String = {
        let rules = SecurityLevel.rules.map { rule in
            """
            WHEN count(*) FILTER (
                WHERE severity = '\(rule.severity.rawValue)'
                    AND occurred_at > now() - interval '\(rule.window.components.seconds) seconds'
            ) >= \(rule.count) THEN '\(rule.level.rawValue)'
            """
        }
        return """
            (
                SELECT CASE
                    \(rules.joined(separator: "\n"))
                    ELSE 'low'
                END
                FROM security_events
                WHERE occurred_at <= now() + interval '\(SecurityLevel.clockTolerance.components.seconds) seconds'
            )
            """
    }()

    /// Timeframes and their buckets.
    private static let timeframes = """
        timeframes (timeframe, unit, since, last) AS (
            VALUES
                ('day', 'hour', date_trunc('hour', now(), 'UTC') - interval '23 hours', date_trunc('hour', now(), 'UTC')),
                ('week', 'day', date_trunc('day', now(), 'UTC') - interval '6 days', date_trunc('day', now(), 'UTC')),
                ('month', 'day', date_trunc('day', now(), 'UTC') - interval '29 days', date_trunc('day', now(), 'UTC'))
        )
        """

    // Of the time that facts no longer cover, the sums are believed.
    private static let userAnalytics = Statement(
        "recomputation.user_analytics",
        """
        WITH \(RawRows.progress), \(RawRows.facts), \(RawRows.visits), \(timeframes), last_activity AS MATERIALIZED (
            SELECT user_id, max(moment) AS moment
            FROM (
                SELECT user_id, last_at AS moment FROM facts
                UNION ALL
                SELECT user_id, last_active_at FROM user_activity CROSS JOIN progress WHERE last_active_at < facts_since
            ) AS moments
            GROUP BY user_id
        ), lengths AS MATERIALIZED (
            SELECT started_at, floor(extract(epoch FROM last_active_at - started_at))::bigint AS seconds
            FROM raw_visits
            CROSS JOIN progress
            WHERE started_at >= facts_since
            UNION ALL
            SELECT day, seconds
            FROM visit_lengths
            CROSS JOIN progress
            CROSS JOIN LATERAL generate_series(1, visits)
            WHERE day < facts_since
        ), recomputed AS (
            SELECT timeframe, since,
                (SELECT count(*) FROM last_activity WHERE moment >= since) AS active_users,
                (SELECT count(*) FROM users WHERE created_at >= since AND \(RawRows.hasBeenCounted("users"))) AS new_users,
                (
                    SELECT count(*)
                    FROM users
                    WHERE created_at < since AND id IN (SELECT user_id FROM last_activity WHERE moment >= since)
                ) AS returning_users,
                (SELECT count(*) FROM raw_visits, progress WHERE started_at >= since AND started_at >= facts_since) + (
                    SELECT coalesce(sum(sessions), 0)
                    FROM rollups
                    CROSS JOIN progress
                    WHERE rollups.unit = timeframes.unit AND starts_at >= since AND starts_at < facts_since
                ) AS sessions,
                (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) FROM lengths WHERE started_at >= since)
                    AS median_session_seconds,
                (SELECT count(*) FROM messages WHERE created_at >= since AND \(RawRows.hasBeenCounted("messages"))) AS messages,
                (
                    SELECT coalesce(
                        count(*) FILTER (WHERE moment >= date_trunc('hour', now(), 'UTC') - interval '23 hours')::double precision
                            / nullif(count(*), 0), 0)
                    FROM last_activity
                    WHERE moment >= date_trunc('day', now(), 'UTC') - interval '29 days'
                ) AS stickiness
            FROM timeframes
        )
        SELECT format('%s, %s', timeframe, key), stored.value, recomputed.value
        FROM (
            SELECT timeframe, key, value FROM user_analytics CROSS JOIN LATERAL jsonb_each_text(to_jsonb(user_analytics))
        ) AS stored
        JOIN (
            SELECT timeframe, key, value FROM recomputed CROSS JOIN LATERAL jsonb_each_text(to_jsonb(recomputed))
        ) AS recomputed USING (timeframe, key)
        WHERE stored.value IS DISTINCT FROM recomputed.value
        ORDER BY timeframe, key
        LIMIT $1
        """)

    private static let series = Statement(
        "recomputation.series",
        """
        WITH \(RawRows.progress), \(RawRows.facts), \(RawRows.visits), \(timeframes), buckets AS MATERIALIZED (
            SELECT timeframe, timeframes.unit, number, start, start < facts_since AS is_believed
            FROM timeframes
            CROSS JOIN progress
            CROSS JOIN LATERAL generate_series(since, last, ('1 ' || timeframes.unit)::interval)
                WITH ORDINALITY AS starts (start, number)
        ), active AS MATERIALIZED (
            SELECT unit, date_trunc(unit, moment, 'UTC') AS start, count(DISTINCT user_id) AS number
            FROM (SELECT user_id, first_at AS moment FROM facts UNION ALL SELECT user_id, last_at FROM facts) AS moments
            CROSS JOIN (VALUES ('hour'), ('day')) AS units (unit)
            WHERE moment >= date_trunc('day', now(), 'UTC') - interval '29 days'
            GROUP BY 1, 2
        ), accounts AS MATERIALIZED (
            SELECT unit, date_trunc(unit, created_at, 'UTC') AS start, count(*) AS number
            FROM users
            CROSS JOIN (VALUES ('hour'), ('day')) AS units (unit)
            WHERE created_at >= date_trunc('day', now(), 'UTC') - interval '29 days' AND \(RawRows.hasBeenCounted("users"))
            GROUP BY 1, 2
        ), begun AS MATERIALIZED (
            SELECT unit, date_trunc(unit, started_at, 'UTC') AS start, count(*) AS number
            FROM raw_visits
            CROSS JOIN (VALUES ('hour'), ('day')) AS units (unit)
            GROUP BY 1, 2
        ), sent AS MATERIALIZED (
            SELECT unit, date_trunc(unit, created_at, 'UTC') AS start, count(*) AS number
            FROM messages
            CROSS JOIN (VALUES ('hour'), ('day')) AS units (unit)
            WHERE created_at >= date_trunc('day', now(), 'UTC') - interval '29 days' AND \(RawRows.hasBeenCounted("messages"))
            GROUP BY 1, 2
        ), reports AS MATERIALIZED (
            SELECT unit, date_trunc(unit, recorded_at, 'UTC') AS start, calls, microseconds, durations, counts
            FROM function_calls
            CROSS JOIN progress
            CROSS JOIN (VALUES ('hour'), ('day')) AS units (unit)
            WHERE recorded_at >= facts_since AND recorded_at >= date_trunc('day', now(), 'UTC') - interval '29 days'
                AND \(RawRows.hasBeenCounted("function_calls"))
            UNION ALL
            SELECT unit, starts_at, calls, microseconds, durations, counts
            FROM call_rollups
            CROSS JOIN progress
            WHERE function = '*' AND starts_at < facts_since AND starts_at >= date_trunc('day', now(), 'UTC') - interval '29 days'
        ), answered AS MATERIALIZED (
            SELECT unit, start, sum(calls) AS number, sum(microseconds) AS microseconds
            FROM reports
            GROUP BY 1, 2
        ), bars AS MATERIALIZED (
            SELECT unit, start, duration, sum(count) AS count
            FROM reports
            CROSS JOIN LATERAL unnest(durations, counts) AS histogram (duration, count)
            GROUP BY 1, 2, 3
        ), slow AS MATERIALIZED (
            -- A twentieth is slower at most.
            SELECT unit, start, min(duration) AS duration
            FROM (
                SELECT unit, start, duration,
                    sum(count) OVER (PARTITION BY unit, start ORDER BY duration DESC) - count AS slower,
                    sum(count) OVER (PARTITION BY unit, start) AS total
                FROM bars
            ) AS ranks
            WHERE slower <= total * 0.05
            GROUP BY 1, 2
        ), recomputed AS (
            SELECT buckets.timeframe, buckets.number,
                jsonb_build_object(
                    'start', extract(epoch FROM buckets.start) * 1000,
                    'activeUsers', coalesce(CASE WHEN is_believed THEN rollups.active_users ELSE active.number END, 0),
                    'newUsers', coalesce(accounts.number, 0),
                    'sessions', coalesce(CASE WHEN is_believed THEN rollups.sessions ELSE begun.number END, 0),
                    'messages', coalesce(sent.number, 0),
                    'calls', coalesce(answered.number, 0),
                    'avgResponseTime', coalesce(round(answered.microseconds / nullif(answered.number, 0) / 1000, 1), 0),
                    'responseTimeP95', coalesce(round(slow.duration / 1000.0, 1), 0)) AS value
            FROM buckets
            LEFT JOIN rollups ON rollups.unit = buckets.unit AND rollups.starts_at = buckets.start
            LEFT JOIN active ON active.unit = buckets.unit AND active.start = buckets.start
            LEFT JOIN accounts ON accounts.unit = buckets.unit AND accounts.start = buckets.start
            LEFT JOIN begun ON begun.unit = buckets.unit AND begun.start = buckets.start
            LEFT JOIN sent ON sent.unit = buckets.unit AND sent.start = buckets.start
            LEFT JOIN answered ON answered.unit = buckets.unit AND answered.start = buckets.start
            LEFT JOIN slow ON slow.unit = buckets.unit AND slow.start = buckets.start
        ), stored AS (
            SELECT timeframe, elements.number, elements.value
            FROM user_analytics
            CROSS JOIN LATERAL jsonb_array_elements(buckets) WITH ORDINALITY AS elements (value, number)
        )
        SELECT format('%s, bucket %s', timeframe, number), stored.value::text, recomputed.value::text
        FROM stored
        FULL JOIN recomputed USING (timeframe, number)
        WHERE stored.value IS DISTINCT FROM recomputed.value
        ORDER BY timeframe, number
        LIMIT $1
        """)

    private static let cohorts = Statement(
        "recomputation.cohorts",
        """
        WITH \(RawRows.progress), \(RawRows.facts), weeks AS MATERIALIZED (
            SELECT week
            FROM generate_series(
                date_trunc('week', now(), 'UTC') - interval '11 weeks', date_trunc('week', now(), 'UTC'), interval '1 week') AS week
        ), accounts AS MATERIALIZED (
            SELECT date_trunc('week', created_at, 'UTC') AS cohort, count(*) AS number
            FROM users
            WHERE \(RawRows.hasBeenCounted("users"))
            GROUP BY 1
        ), active AS MATERIALIZED (
            SELECT date_trunc('week', users.created_at, 'UTC') AS cohort, date_trunc('week', moment, 'UTC') AS week,
                count(DISTINCT user_id) AS number
            FROM (SELECT user_id, first_at AS moment FROM facts UNION ALL SELECT user_id, last_at FROM facts) AS moments
            JOIN users ON users.id = user_id
            CROSS JOIN progress
            WHERE date_trunc('week', moment, 'UTC') >= facts_since
            GROUP BY 1, 2
            UNION ALL
            SELECT cohort, week, users FROM cohort_weeks CROSS JOIN progress WHERE week < facts_since
        ), recomputed AS (
            SELECT row_number() OVER (ORDER BY cohort.week) AS number,
                jsonb_build_object(
                    'week', extract(epoch FROM cohort.week) * 1000,
                    'users', coalesce(max(accounts.number), 0),
                    'active', jsonb_agg(coalesce(active.number, 0) ORDER BY weeks.week)) AS value
            FROM weeks AS cohort
            JOIN weeks ON weeks.week >= cohort.week
            LEFT JOIN accounts ON accounts.cohort = cohort.week
            LEFT JOIN active ON active.cohort = cohort.week AND active.week = weeks.week
            GROUP BY cohort.week
        ), stored AS (
            SELECT timeframe, elements.number, elements.value
            FROM user_analytics
            CROSS JOIN LATERAL jsonb_array_elements(cohorts) WITH ORDINALITY AS elements (value, number)
        )
        SELECT format('%s, cohort %s', timeframe, number), stored.value::text, recomputed.value::text
        FROM stored
        FULL JOIN (
            SELECT timeframe, recomputed.number, recomputed.value FROM recomputed CROSS JOIN user_analytics
        ) AS recomputed USING (timeframe, number)
        WHERE stored.value IS DISTINCT FROM recomputed.value
        ORDER BY timeframe, number
        LIMIT $1
        """)
}
