import Domain
import Postgres

/// Who was active in which hour, day and week, and when each user last was.
enum ActiveUsers {
    /// Notes the portion's users, and counts those who are new to an hour, a day or a week.
    ///
    /// - Parameter factsSince: facts that ended before are left out; who was active in hours and days before is not known any more.
    static func add(_ portion: Portion, factsSince: Instant) -> [BoundStatement] {
        [note, noteLast].map { $0(portion.first, portion.end, portion.running, portion.ended, factsSince) }
    }

    private static let note = Statement(
        "aggregation.add_active_users",
        """
        WITH hours AS MATERIALIZED (
            SELECT DISTINCT date_bin('1 hour', ends.moment, \(Calendar.origin)) AS starts_at, portion.user_id
            FROM (
                \(Portion.rows("user_id, first_at, last_at", of: "session_activity"))
            ) AS portion
            CROSS JOIN LATERAL (VALUES (first_at), (last_at)) AS ends (moment)
            WHERE last_at >= $5
        ), days AS MATERIALIZED (
            SELECT DISTINCT date_bin('1 day', starts_at, \(Calendar.origin)) AS starts_at, user_id FROM hours
        ), weeks AS (
            SELECT DISTINCT date_bin('7 days', starts_at, \(Calendar.origin)) AS starts_at, user_id FROM days
        ), active AS (
            -- Hours that are older are in no sum.
            SELECT 'hour' AS unit, starts_at, user_id FROM hours WHERE starts_at >= greatest($5, now() - interval '1440 hours')
            UNION ALL
            SELECT 'day', starts_at, user_id FROM days WHERE starts_at >= $5
            UNION ALL
            -- One that has begun before may still get its last days.
            SELECT 'week', starts_at, user_id FROM weeks WHERE starts_at > $5 - interval '7 days'
        ), noted AS (
            INSERT INTO active_users (unit, starts_at, user_id)
            SELECT unit, starts_at, user_id
            FROM active
            -- Nobody else inserts, so there is no conflict to watch for. One look into the index for each: the planner, which does
            -- not know how many there are, might read the whole table to join it.
            WHERE (
                SELECT known.user_id
                FROM active_users AS known
                WHERE known.unit = active.unit AND known.starts_at = active.starts_at AND known.user_id = active.user_id
            ) IS NULL
            ORDER BY unit, starts_at, user_id
            RETURNING unit, starts_at, user_id
        ), counted AS (
            INSERT INTO rollups (unit, starts_at, active_users)
            SELECT buckets.unit, buckets.starts_at, users.number
            FROM (SELECT unit, starts_at, count(*) AS number FROM noted GROUP BY unit, starts_at) AS users
            CROSS JOIN LATERAL rollup_buckets(users.starts_at) AS buckets
            WHERE buckets.unit = users.unit
            ON CONFLICT ON CONSTRAINT rollups_pkey DO UPDATE SET active_users = rollups.active_users + excluded.active_users
        )
        INSERT INTO cohort_weeks (cohort, week, users)
        SELECT date_bin('7 days', users.created_at, \(Calendar.origin)), noted.starts_at, count(*)
        FROM noted
        JOIN users ON users.id = noted.user_id
        WHERE noted.unit = 'week'
        GROUP BY 1, 2
        ON CONFLICT ON CONSTRAINT cohort_weeks_pkey DO UPDATE SET users = cohort_weeks.users + excluded.users
        """)

    private static let noteLast = Statement(
        "aggregation.add_last_activity",
        """
        INSERT INTO user_activity (user_id, last_active_at)
        SELECT user_id, max(last_at)
        FROM (
            \(Portion.rows("user_id, last_at", of: "session_activity"))
        ) AS portion
        WHERE last_at >= $5
        GROUP BY user_id
        ORDER BY user_id
        ON CONFLICT ON CONSTRAINT user_activity_pkey DO UPDATE SET last_active_at = excluded.last_active_at
        WHERE user_activity.last_active_at < excluded.last_active_at
        """)
}
