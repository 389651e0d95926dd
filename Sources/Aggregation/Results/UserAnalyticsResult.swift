import Postgres

/// The rows that `admin:getUserAnalytics` shows, one for each timeframe.
enum UserAnalyticsResult {
    /// Computes the rows and writes those in which a value is another.
    static func update() -> BoundStatement { statement() }

    private static let statement = Statement(
        "aggregation.update_user_analytics",
        """
        WITH timeframes AS MATERIALIZED (
            SELECT timeframe, unit, step, date_bin(step, now(), \(Calendar.origin)) - (buckets - 1) * step AS since,
                date_bin(step, now(), \(Calendar.origin)) AS last
            FROM (
                VALUES ('day', 'hour', interval '1 hour', 24), ('week', 'day', interval '24 hours', 7),
                    ('month', 'day', interval '24 hours', 30)
            ) AS timeframes (timeframe, unit, step, buckets)
        ), activity AS MATERIALIZED (
            SELECT timeframes.timeframe, count(*) AS active_users,
                count(*) FILTER (WHERE users.created_at < timeframes.since) AS returning_users
            FROM timeframes
            JOIN user_activity ON user_activity.last_active_at >= timeframes.since
            LEFT JOIN users ON users.id = user_activity.user_id
            GROUP BY timeframes.timeframe
        ), sums AS (
            SELECT timeframes.timeframe, sum(rollups.new_users)::bigint AS new_users, sum(rollups.sessions)::bigint AS sessions,
                sum(rollups.messages)::bigint AS messages
            FROM timeframes
            JOIN rollups ON rollups.unit = timeframes.unit AND rollups.starts_at >= timeframes.since
            GROUP BY timeframes.timeframe
        ), lengths AS MATERIALIZED (
            -- By the hour there are only the visits themselves.
            SELECT timeframes.timeframe, floor(date_part('epoch', visits.last_active_at - visits.started_at))::bigint AS seconds,
                count(*) AS visits
            FROM timeframes
            JOIN visits ON visits.started_at >= timeframes.since
            WHERE timeframes.unit = 'hour'
            GROUP BY 1, 2
            UNION ALL
            SELECT timeframes.timeframe, visit_lengths.seconds, sum(visit_lengths.visits)
            FROM timeframes
            JOIN visit_lengths ON visit_lengths.day >= timeframes.since
            WHERE timeframes.unit = 'day'
            GROUP BY 1, 2
        ), medians AS (
            SELECT timeframe, min(seconds) AS median_session_seconds
            FROM (
                SELECT timeframe, seconds, sum(visits) OVER (PARTITION BY timeframe ORDER BY seconds) AS reached,
                    sum(visits) OVER (PARTITION BY timeframe) AS total
                FROM lengths
                WHERE visits > 0
            ) AS ranks
            WHERE 2 * reached >= total
            GROUP BY timeframe
        ), call_buckets AS (
            SELECT calls.unit, calls.starts_at, calls.calls,
                round(calls.microseconds / nullif(calls.calls, 0)::numeric / 1000, 1) AS average,
                (
                    SELECT round(min(ranks.duration) / 1000.0, 1)
                    FROM (
                        SELECT histogram.duration, sum(histogram.count) OVER (ORDER BY histogram.duration) AS reached,
                            sum(histogram.count) OVER () AS total
                        FROM unnest(calls.durations, calls.counts) AS histogram (duration, count)
                    ) AS ranks
                    WHERE ranks.reached >= 0.95 * ranks.total
                ) AS p95
            FROM call_rollups AS calls
            WHERE calls.function = '*' AND calls.unit <> 'minute'
                AND calls.starts_at >= (
                    SELECT min(timeframes.since) FROM timeframes WHERE timeframes.unit = calls.unit)
        ), series AS (
            SELECT timeframes.timeframe, jsonb_agg(
                jsonb_build_object(
                    'start', date_part('epoch', bucket.start)::bigint * 1000,
                    'activeUsers', coalesce(rollups.active_users, 0),
                    'newUsers', coalesce(rollups.new_users, 0),
                    'sessions', coalesce(rollups.sessions, 0),
                    'messages', coalesce(rollups.messages, 0),
                    'calls', coalesce(call_buckets.calls, 0),
                    'avgResponseTime', coalesce(call_buckets.average, 0),
                    'responseTimeP95', coalesce(call_buckets.p95, 0))
                ORDER BY bucket.start) AS buckets
            FROM timeframes
            CROSS JOIN LATERAL generate_series(timeframes.since, timeframes.last, timeframes.step) AS bucket (start)
            LEFT JOIN rollups ON rollups.unit = timeframes.unit AND rollups.starts_at = bucket.start
            LEFT JOIN call_buckets ON call_buckets.unit = timeframes.unit AND call_buckets.starts_at = bucket.start
            GROUP BY timeframes.timeframe
        ), weeks AS MATERIALIZED (
            SELECT week
            FROM (SELECT date_bin('7 days', now(), \(Calendar.origin)) AS present) AS weeks
            CROSS JOIN LATERAL generate_series(present - interval '1848 hours', present, interval '168 hours') AS week
        ), retention AS (
            SELECT jsonb_agg(
                jsonb_build_object(
                    'week', date_part('epoch', cohort.week)::bigint * 1000,
                    'users', (
                        SELECT coalesce(sum(rollups.new_users), 0)
                        FROM rollups
                        WHERE rollups.unit = 'day' AND rollups.starts_at >= cohort.week
                            AND rollups.starts_at < cohort.week + interval '168 hours'),
                    'active', (
                        SELECT jsonb_agg(coalesce(cohort_weeks.users, 0) ORDER BY weeks.week)
                        FROM weeks
                        LEFT JOIN cohort_weeks ON cohort_weeks.cohort = cohort.week AND cohort_weeks.week = weeks.week
                        WHERE weeks.week >= cohort.week))
                ORDER BY cohort.week) AS cohorts
            FROM weeks AS cohort
        ), computed AS (
            SELECT timeframes.timeframe, timeframes.since, coalesce(activity.active_users, 0) AS active_users,
                coalesce(sums.new_users, 0) AS new_users, coalesce(activity.returning_users, 0) AS returning_users,
                coalesce(sums.sessions, 0) AS sessions, medians.median_session_seconds, coalesce(sums.messages, 0) AS messages,
                coalesce(
                    (SELECT active_users FROM activity WHERE timeframe = 'day')::double precision
                        / (SELECT active_users FROM activity WHERE timeframe = 'month'), 0) AS stickiness,
                series.buckets, retention.cohorts
            FROM timeframes
            JOIN series USING (timeframe)
            LEFT JOIN activity USING (timeframe)
            LEFT JOIN sums USING (timeframe)
            LEFT JOIN medians USING (timeframe)
            CROSS JOIN retention
        )
        UPDATE user_analytics
        SET since = computed.since, active_users = computed.active_users, new_users = computed.new_users,
            returning_users = computed.returning_users, sessions = computed.sessions,
            median_session_seconds = computed.median_session_seconds, messages = computed.messages,
            stickiness = computed.stickiness, buckets = computed.buckets, cohorts = computed.cohorts, updated_at = now()
        FROM computed
        WHERE user_analytics.timeframe = computed.timeframe
            AND (user_analytics.since, user_analytics.active_users, user_analytics.new_users, user_analytics.returning_users,
                user_analytics.sessions, user_analytics.median_session_seconds, user_analytics.messages,
                user_analytics.stickiness, user_analytics.buckets, user_analytics.cohorts)
                IS DISTINCT FROM (computed.since, computed.active_users, computed.new_users, computed.returning_users,
                computed.sessions, computed.median_session_seconds, computed.messages,
                computed.stickiness, computed.buckets, computed.cohorts)
        """)
}
