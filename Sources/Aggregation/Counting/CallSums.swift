import Domain
import Postgres

/// How many calls each function, and all of them together, got in each minute, hour and day, and how long they took.
enum CallSums {
    /// Adds the portion's reports. Gives how many.
    ///
    /// - Parameter factsSince: earlier ones are left out.
    static func add(_ portion: Portion, factsSince: Instant) -> BoundStatement {
        statement(portion.first, portion.end, portion.running, portion.ended, factsSince)
    }

    // Sums and histograms go through one aggregation, rather than be joined: the planner does not know how many there are.
    private static let statement = Statement(
        "aggregation.add_calls",
        """
        WITH reports AS MATERIALIZED (
            SELECT date_bin('1 minute', recorded_at, \(Calendar.origin)) AS minute, function, calls, failed_calls, microseconds,
                durations, counts
            FROM (
                \(Portion.rows("recorded_at, function, calls, failed_calls, microseconds, durations, counts", of: "function_calls"))
            ) AS portion
            WHERE recorded_at >= $5
        ), minutes AS MATERIALIZED (
            SELECT minute, function, NULL::bigint AS duration, NULL::bigint AS count, sum(calls)::bigint AS calls,
                sum(failed_calls)::bigint AS failed_calls, sum(microseconds)::bigint AS microseconds
            FROM reports
            GROUP BY minute, function
            UNION ALL
            SELECT minute, function, histogram.duration, sum(histogram.count)::bigint, 0, 0, 0
            FROM reports
            CROSS JOIN LATERAL unnest(durations, counts) AS histogram (duration, count)
            GROUP BY minute, function, histogram.duration
        ), additions AS MATERIALIZED (
            SELECT buckets.unit, buckets.starts_at, coalesce(minutes.function, '*') AS function, minutes.duration,
                sum(minutes.count)::bigint AS count, sum(minutes.calls)::bigint AS calls,
                sum(minutes.failed_calls)::bigint AS failed_calls, sum(minutes.microseconds)::bigint AS microseconds
            FROM minutes
            CROSS JOIN LATERAL rollup_buckets(minutes.minute) AS buckets
            GROUP BY GROUPING SETS (
                (buckets.unit, buckets.starts_at, minutes.duration, minutes.function),
                (buckets.unit, buckets.starts_at, minutes.duration))
        ), histograms AS (
            SELECT unit, starts_at, function, duration, sum(count)::bigint AS count, sum(calls)::bigint AS calls,
                sum(failed_calls)::bigint AS failed_calls, sum(microseconds)::bigint AS microseconds
            FROM (
                SELECT unit, starts_at, function, duration, count, calls, failed_calls, microseconds
                FROM additions
                UNION ALL
                SELECT known.unit, known.starts_at, known.function, histogram.duration, histogram.count, 0, 0, 0
                FROM additions
                JOIN call_rollups AS known
                    ON known.unit = additions.unit AND known.starts_at = additions.starts_at AND known.function = additions.function
                CROSS JOIN LATERAL unnest(known.durations, known.counts) AS histogram (duration, count)
                WHERE additions.duration IS NULL
            ) AS both_parts
            GROUP BY unit, starts_at, function, duration
        ), added AS (
            INSERT INTO call_rollups (unit, starts_at, function, calls, failed_calls, microseconds, durations, counts)
            SELECT unit, starts_at, function, sum(calls), sum(failed_calls), sum(microseconds),
                coalesce(array_agg(duration ORDER BY duration) FILTER (WHERE duration IS NOT NULL), '{}'),
                coalesce(array_agg(count ORDER BY duration) FILTER (WHERE duration IS NOT NULL), '{}')
            FROM histograms
            GROUP BY unit, starts_at, function
            ON CONFLICT ON CONSTRAINT call_rollups_pkey DO UPDATE
            SET calls = call_rollups.calls + excluded.calls,
                failed_calls = call_rollups.failed_calls + excluded.failed_calls,
                microseconds = call_rollups.microseconds + excluded.microseconds,
                durations = excluded.durations,
                counts = excluded.counts
        )
        SELECT count(*) FROM reports
        """)
}
