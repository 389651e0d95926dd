import Domain
import Postgres

/// Stretches of activity of one sign-in without a pause of 30 minutes, how many began in each minute, hour and day, and how long
/// they last.
enum Visits {
    /// Merges the portion's activity into the visits that it touches: it may begin one, make one longer at either end, or join
    /// several. Gives how many facts there were.
    ///
    /// - Parameter factsSince: facts that ended before are left out; of others, what was before.
    static func merge(_ portion: Portion, factsSince: Instant) -> BoundStatement {
        statement(portion.first, portion.end, portion.running, portion.ended, factsSince)
    }

    // What is compared goes through one aggregation, rather than be joined: the planner does not know how much there is.
    private static let statement = Statement(
        "aggregation.merge_visits",
        """
        WITH facts AS MATERIALIZED (
            SELECT session_id, user_id, greatest(first_at, $5) AS first_at, last_at
            FROM (
                \(Portion.rows("session_id, user_id, first_at, last_at", of: "session_activity"))
            ) AS portion
            WHERE last_at >= $5
        ), before AS MATERIALIZED (
            SELECT visits.session_id, visits.user_id, visits.started_at, visits.last_active_at
            FROM (
                SELECT session_id, min(first_at) AS first_at, max(last_at) AS last_at
                FROM facts
                GROUP BY session_id
            ) AS reach
            JOIN visits ON visits.session_id = reach.session_id
                AND visits.last_active_at > reach.first_at - interval '30 minutes'
                AND visits.started_at < reach.last_at + interval '30 minutes'
        ), stretches AS (
            SELECT session_id, user_id, first_at,
                max(last_at) OVER (
                    PARTITION BY session_id
                    ORDER BY first_at
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS active_before,
                max(last_at) OVER (PARTITION BY session_id) AS active_at_last
            FROM (
                SELECT session_id, user_id, first_at, last_at FROM facts
                UNION ALL
                SELECT session_id, user_id, started_at, last_active_at FROM before
            ) AS both_parts
        ), after AS (
            -- Each begins after a pause, and lasts until the pause before the next.
            SELECT session_id, user_id, first_at AS started_at,
                coalesce(lead(active_before) OVER (PARTITION BY session_id ORDER BY first_at), active_at_last) AS last_active_at
            FROM stretches
            WHERE active_before IS NULL OR first_at >= active_before + interval '30 minutes'
        ), changes AS MATERIALIZED (
            SELECT session_id, started_at, max(user_id::text)::uuid AS user_id, max(was_until) AS was_until,
                max(is_until) AS is_until
            FROM (
                SELECT session_id, started_at, user_id, NULL::timestamptz AS was_until, last_active_at AS is_until FROM after
                UNION ALL
                SELECT session_id, started_at, user_id, last_active_at, NULL FROM before
            ) AS both_parts
            GROUP BY session_id, started_at
            HAVING max(was_until) IS DISTINCT FROM max(is_until)
        ), removed AS (
            DELETE FROM visits
            USING changes
            WHERE changes.is_until IS NULL
                AND visits.session_id = changes.session_id
                AND visits.started_at = changes.started_at
        ), written AS (
            INSERT INTO visits (session_id, started_at, last_active_at, user_id)
            SELECT session_id, started_at, is_until, user_id
            FROM changes
            WHERE is_until IS NOT NULL
            ORDER BY started_at
            ON CONFLICT ON CONSTRAINT visits_pkey DO UPDATE SET last_active_at = excluded.last_active_at
        ), counted AS (
            INSERT INTO rollups (unit, starts_at, sessions)
            SELECT buckets.unit, buckets.starts_at, sum(minutes.visits)
            FROM (
                SELECT date_bin('1 minute', started_at, \(Calendar.origin)) AS minute,
                    count(is_until) - count(was_until) AS visits
                FROM changes
                GROUP BY 1
            ) AS minutes
            CROSS JOIN LATERAL rollup_buckets(minutes.minute) AS buckets
            WHERE minutes.visits <> 0
            GROUP BY 1, 2
            ON CONFLICT ON CONSTRAINT rollups_pkey DO UPDATE SET sessions = rollups.sessions + excluded.sessions
        ), measured AS (
            INSERT INTO visit_lengths (day, seconds, visits)
            SELECT date_bin('1 day', changes.started_at, \(Calendar.origin)) AS day,
                floor(date_part('epoch', forms.last_active_at - changes.started_at))::bigint, sum(forms.change)
            FROM changes
            CROSS JOIN LATERAL (VALUES (changes.was_until, -1), (changes.is_until, 1)) AS forms (last_active_at, change)
            WHERE forms.last_active_at IS NOT NULL
                AND date_bin('1 day', changes.started_at, \(Calendar.origin)) >= now() - interval '60 days'
            GROUP BY 1, 2
            HAVING sum(forms.change) <> 0
            ON CONFLICT ON CONSTRAINT visit_lengths_pkey DO UPDATE SET visits = visit_lengths.visits + excluded.visits
        )
        SELECT count(*) FROM facts
        """)
}
