import Postgres

/// Statements that find where sums are not what raw rows say. The parameter is how many differences at most; columns are what
/// differs, the stored value and the recomputed one.
enum SumComparison {
    static let all: [(table: String, statement: Statement)] = [
        ("rollups", rollups), ("call_rollups", callRollups), ("visits", visits), ("visit_lengths", visitLengths),
        ("active_users", activeUsers), ("cohort_weeks", cohortWeeks), ("user_activity", userActivity),
    ]

    private static let rollups = Statement(
        "recomputation.rollups",
        """
        WITH \(RawRows.progress), \(RawRows.facts), \(RawRows.visits), recomputed AS (
            SELECT unit, date_trunc(unit, created_at, 'UTC') AS starts_at, 'messages' AS number, count(*) AS value
            FROM messages
            JOIN units ON created_at >= kept_since
            WHERE \(RawRows.hasBeenCounted("messages"))
            GROUP BY 1, 2
            UNION ALL
            SELECT unit, date_trunc(unit, created_at, 'UTC'), 'new_users', count(*)
            FROM users
            JOIN units ON created_at >= kept_since
            WHERE \(RawRows.hasBeenCounted("users"))
            GROUP BY 1, 2
            UNION ALL
            SELECT unit, date_trunc(unit, started_at, 'UTC'), 'sessions', count(*)
            FROM raw_visits
            JOIN units ON started_at >= kept_since
            GROUP BY 1, 2
            UNION ALL
            SELECT unit, date_trunc(unit, moment, 'UTC'), 'active_users', count(DISTINCT user_id)
            FROM (SELECT user_id, first_at AS moment FROM facts UNION ALL SELECT user_id, last_at FROM facts) AS moments
            JOIN units ON moment >= kept_since AND unit <> 'minute'
            GROUP BY 1, 2
        ), stored AS (
            SELECT unit, starts_at, number, value
            FROM rollups
            CROSS JOIN LATERAL (
                VALUES ('messages', messages), ('new_users', new_users), ('sessions', sessions), ('active_users', active_users)
            ) AS numbers (number, value)
        )
        SELECT format('%s %s, %s', unit, to_char(starts_at, 'YYYY-MM-DD HH24:MI'), number), stored.value::text,
            recomputed.value::text
        FROM stored
        FULL JOIN recomputed USING (unit, starts_at, number)
        JOIN units USING (unit)
        CROSS JOIN progress
        WHERE coalesce(stored.value, 0) <> coalesce(recomputed.value, 0)
            AND starts_at >= kept_since
            AND (number IN ('messages', 'new_users') OR starts_at >= facts_since)
        ORDER BY unit, starts_at, number
        LIMIT $1
        """)

    private static let callRollups = Statement(
        "recomputation.call_rollups",
        """
        WITH \(RawRows.progress), reports AS MATERIALIZED (
            SELECT unit, date_trunc(unit, recorded_at, 'UTC') AS starts_at, names.function, calls, failed_calls, microseconds,
                durations, counts
            FROM function_calls
            CROSS JOIN progress
            JOIN units ON recorded_at >= kept_since
            CROSS JOIN LATERAL (VALUES (function_calls.function), ('*')) AS names (function)
            WHERE recorded_at >= facts_since AND \(RawRows.hasBeenCounted("function_calls"))
        ), histograms AS (
            SELECT unit, starts_at, function, array_agg(duration ORDER BY duration) AS durations,
                array_agg(count ORDER BY duration) AS counts
            FROM (
                SELECT unit, starts_at, function, duration, sum(count)::bigint AS count
                FROM reports
                CROSS JOIN LATERAL unnest(durations, counts) AS histogram (duration, count)
                GROUP BY unit, starts_at, function, duration
            ) AS bars
            GROUP BY unit, starts_at, function
        ), recomputed AS (
            SELECT unit, starts_at, function,
                format(
                    '%s calls, %s failed, %s microseconds, durations %s, counts %s', sum(calls), sum(failed_calls),
                    sum(microseconds), coalesce(histograms.durations, '{}'), coalesce(histograms.counts, '{}')) AS value
            FROM reports
            LEFT JOIN histograms USING (unit, starts_at, function)
            GROUP BY unit, starts_at, function, histograms.durations, histograms.counts
        ), stored AS (
            SELECT unit, starts_at, function,
                format(
                    '%s calls, %s failed, %s microseconds, durations %s, counts %s', calls, failed_calls, microseconds,
                    durations, counts) AS value
            FROM call_rollups
        )
        SELECT format('%s %s, %s', unit, to_char(starts_at, 'YYYY-MM-DD HH24:MI'), function), stored.value, recomputed.value
        FROM stored
        FULL JOIN recomputed USING (unit, starts_at, function)
        JOIN units USING (unit)
        CROSS JOIN progress
        WHERE stored.value IS DISTINCT FROM recomputed.value AND starts_at >= kept_since AND starts_at >= facts_since
        ORDER BY unit, starts_at, function
        LIMIT $1
        """)

    private static let visits = Statement(
        "recomputation.visits",
        """
        WITH \(RawRows.progress), \(RawRows.facts), \(RawRows.visits), stored AS (
            SELECT session_id, started_at, format('until %s by %s', last_active_at, user_id) AS value
            FROM visits
            CROSS JOIN progress
            WHERE last_active_at >= facts_since
        ), recomputed AS (
            SELECT session_id, started_at, format('until %s by %s', last_active_at, user_id) AS value
            FROM raw_visits
            CROSS JOIN progress
            WHERE last_active_at >= facts_since
        )
        SELECT format('sign-in %s, from %s', session_id, started_at), stored.value, recomputed.value
        FROM stored
        FULL JOIN recomputed USING (session_id, started_at)
        WHERE stored.value IS DISTINCT FROM recomputed.value
        ORDER BY started_at, session_id
        LIMIT $1
        """)

    private static let visitLengths = Statement(
        "recomputation.visit_lengths",
        """
        WITH \(RawRows.progress), \(RawRows.facts), \(RawRows.visits), recomputed AS (
            SELECT date_trunc('day', started_at, 'UTC') AS day,
                floor(extract(epoch FROM last_active_at - started_at))::bigint AS seconds, count(*) AS visits
            FROM raw_visits
            GROUP BY 1, 2
        )
        SELECT format('%s, %s s', to_char(day, 'YYYY-MM-DD'), seconds), visit_lengths.visits::text, recomputed.visits::text
        FROM visit_lengths
        FULL JOIN recomputed USING (day, seconds)
        CROSS JOIN progress
        WHERE coalesce(visit_lengths.visits, 0) <> coalesce(recomputed.visits, 0)
            AND day >= facts_since AND day >= now() - interval '60 days'
        ORDER BY day, seconds
        LIMIT $1
        """)

    private static let activeUsers = Statement(
        "recomputation.active_users",
        """
        WITH \(RawRows.progress), \(RawRows.facts), recomputed AS (
            SELECT DISTINCT unit, date_trunc(unit, moment, 'UTC') AS starts_at, user_id
            FROM (SELECT user_id, first_at AS moment FROM facts UNION ALL SELECT user_id, last_at FROM facts) AS moments
            CROSS JOIN (VALUES ('hour'), ('day'), ('week')) AS sets (unit)
        )
        SELECT format('%s %s, %s', unit, to_char(starts_at, 'YYYY-MM-DD HH24:MI'), user_id),
            CASE WHEN active_users IS NULL THEN 'missing' ELSE 'there' END,
            CASE WHEN recomputed IS NULL THEN 'missing' ELSE 'there' END
        FROM active_users
        FULL JOIN recomputed USING (unit, starts_at, user_id)
        CROSS JOIN progress
        WHERE (active_users IS NULL OR recomputed IS NULL)
            AND starts_at >= facts_since
            AND (unit <> 'hour' OR starts_at >= now() - interval '1440 hours')
        ORDER BY unit, starts_at, user_id
        LIMIT $1
        """)

    private static let cohortWeeks = Statement(
        "recomputation.cohort_weeks",
        """
        WITH \(RawRows.progress), \(RawRows.facts), recomputed AS (
            SELECT date_trunc('week', users.created_at, 'UTC') AS cohort, date_trunc('week', moment, 'UTC') AS week,
                count(DISTINCT user_id) AS users
            FROM (SELECT user_id, first_at AS moment FROM facts UNION ALL SELECT user_id, last_at FROM facts) AS moments
            JOIN users ON users.id = user_id
            GROUP BY 1, 2
        )
        SELECT format('accounts of %s in the week from %s', to_char(cohort, 'YYYY-MM-DD'), to_char(week, 'YYYY-MM-DD')),
            cohort_weeks.users::text, recomputed.users::text
        FROM cohort_weeks
        FULL JOIN recomputed USING (cohort, week)
        CROSS JOIN progress
        WHERE coalesce(cohort_weeks.users, 0) <> coalesce(recomputed.users, 0) AND week >= facts_since
        ORDER BY cohort, week
        LIMIT $1
        """)

    private static let userActivity = Statement(
        "recomputation.user_activity",
        """
        WITH \(RawRows.progress), \(RawRows.facts), recomputed AS (
            SELECT user_id, max(last_at) AS last_active_at FROM facts GROUP BY user_id
        ), stored AS (
            SELECT user_id, last_active_at FROM user_activity CROSS JOIN progress WHERE last_active_at >= facts_since
        )
        SELECT user_id::text, stored.last_active_at::text, recomputed.last_active_at::text
        FROM stored
        FULL JOIN recomputed USING (user_id)
        WHERE stored.last_active_at IS DISTINCT FROM recomputed.last_active_at
        ORDER BY user_id
        LIMIT $1
        """)
}
