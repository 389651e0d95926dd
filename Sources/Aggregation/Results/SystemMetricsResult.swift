import Domain
import Postgres
import Store

/// The row that `admin:getSystemMetrics` shows.
enum SystemMetricsResult {
    /// Computes the row and writes it if a value is another. The result's row is the size of the database in bytes and the security
    /// level.
    ///
    /// - Parameters:
    ///   - countsAccounts: whether the therapists and clients are counted, which reads an entry for each. Else what the row says
    ///     stays.
    ///   - measuresStorage: likewise for the size of the database, which looks at each of its files.
    static func update(countsAccounts: Bool, measuresStorage: Bool) -> BoundStatement { statement(countsAccounts, measuresStorage) }

    private static let statement = Statement(
        "aggregation.update_system_metrics",
        """
        WITH calls AS MATERIALIZED (
            SELECT calls, microseconds, durations, counts
            FROM call_rollups
            WHERE unit = 'minute' AND function = '*'
                AND starts_at >= date_bin('1 minute', now(), \(Calendar.origin)) - interval '5 minutes'
        ), ranks AS MATERIALIZED (
            SELECT histogram.duration, sum(sum(histogram.count)) OVER (ORDER BY histogram.duration) AS reached,
                sum(sum(histogram.count)) OVER () AS total
            FROM calls
            CROSS JOIN LATERAL unnest(calls.durations, calls.counts) AS histogram (duration, count)
            GROUP BY histogram.duration
        ), computed AS MATERIALIZED (
            SELECT
                (SELECT count(*) FROM user_activity WHERE last_active_at > now() - interval '30 minutes') AS active_users,
                (SELECT count(*) FROM visits WHERE last_active_at > now() - interval '30 minutes') AS active_sessions,
                coalesce(
                    (
                        SELECT sessions
                        FROM rollups
                        WHERE unit = 'day' AND starts_at = date_bin('1 day', now(), \(Calendar.origin))
                    ), 0) AS sessions_today,
                CASE WHEN $1 THEN
                    (SELECT count(*) FROM users WHERE account_type = 'therapist' AND removed_at IS NULL)
                ELSE known.total_therapists END AS total_therapists,
                CASE WHEN $1 THEN
                    (SELECT count(*) FROM users WHERE account_type = 'client' AND removed_at IS NULL)
                ELSE known.total_clients END AS total_clients,
                (SELECT coalesce(sum(messages), 0)::bigint FROM rollups WHERE unit = 'day') AS messages_sent,
                coalesce((SELECT round(sum(microseconds) / nullif(sum(calls), 0) / 1000, 1) FROM calls), 0)::double precision
                    AS avg_response_time,
                coalesce((SELECT round(min(duration) / 1000.0, 1) FROM ranks WHERE reached >= 0.5 * total), 0)::double precision
                    AS response_time_p50,
                coalesce((SELECT round(min(duration) / 1000.0, 1) FROM ranks WHERE reached >= 0.95 * total), 0)::double precision
                    AS response_time_p95,
                coalesce((SELECT round(min(duration) / 1000.0, 1) FROM ranks WHERE reached >= 0.99 * total), 0)::double precision
                    AS response_time_p99,
                coalesce(
                    (SELECT round(max(load)::numeric, 2) FROM hosts WHERE reported_at > now() - interval '1 minute'),
                    0)::double precision AS system_load,
                CASE WHEN $2 THEN pg_database_size(current_database()) ELSE known.storage_bytes END AS storage_bytes,
                \(SecurityLevelStore.expression) AS active_security_level
            FROM system_metrics AS known
        ), updated AS (
            UPDATE system_metrics
            SET active_users = computed.active_users, active_sessions = computed.active_sessions,
                sessions_today = computed.sessions_today, total_therapists = computed.total_therapists,
                total_clients = computed.total_clients, messages_sent = computed.messages_sent,
                avg_response_time = computed.avg_response_time, response_time_p50 = computed.response_time_p50,
                response_time_p95 = computed.response_time_p95, response_time_p99 = computed.response_time_p99,
                system_load = computed.system_load, storage_bytes = computed.storage_bytes,
                active_security_level = computed.active_security_level, updated_at = now()
            FROM computed
            WHERE (system_metrics.active_users, system_metrics.active_sessions, system_metrics.sessions_today,
                system_metrics.total_therapists, system_metrics.total_clients, system_metrics.messages_sent,
                system_metrics.avg_response_time, system_metrics.response_time_p50, system_metrics.response_time_p95,
                system_metrics.response_time_p99, system_metrics.system_load, system_metrics.storage_bytes,
                system_metrics.active_security_level)
                IS DISTINCT FROM (computed.active_users, computed.active_sessions, computed.sessions_today,
                computed.total_therapists, computed.total_clients, computed.messages_sent,
                computed.avg_response_time, computed.response_time_p50, computed.response_time_p95,
                computed.response_time_p99, computed.system_load, computed.storage_bytes,
                computed.active_security_level)
        )
        SELECT storage_bytes, active_security_level FROM computed
        """)
}
