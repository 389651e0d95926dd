import Domain
import Postgres

/// Deletes rows that nothing needs any more.
public enum Housekeeping {
    /// How many rows one call has deleted.
    public struct Report: Equatable, Sendable {
        public var sessions: Int
        public var refreshTokens: Int
        public var rateLimits: Int
        public var mutationRequests: Int

        public init(sessions: Int = 0, refreshTokens: Int = 0, rateLimits: Int = 0, mutationRequests: Int = 0) {
            self.sessions = sessions
            self.refreshTokens = refreshTokens
            self.rateLimits = rateLimits
            self.mutationRequests = mutationRequests
        }

        public var total: Int { sessions + refreshTokens + rateLimits + mutationRequests }
    }

    /// Deletes what is out of date, `batchSize` rows per transaction. Any number of processes may do it at once: each
    /// leaves alone what another has locked.
    ///
    /// - Parameter now: the clock of the process, used only for refresh tokens, whose expiry is in their ids.
    public static func run(in database: PostgresClient, now: Instant, batchSize: Int = 1000) async throws -> Report {
        // Ids are ordered by time, and the primary key is the only index there is on the time of a token. A token is good
        // for 30 days from its creation; the day more covers clocks that differ.
        let oldestToken = RefreshTokenID(UUIDBits(high: UInt64((now - .seconds(31 * 86_400)).milliseconds) << 16, low: 0))
        return Report(
            sessions: try await delete(in: database, batchSize) { expiredSessions(batchSize) },
            refreshTokens: try await delete(in: database, batchSize) { expiredTokens(oldestToken, batchSize) },
            rateLimits: try await delete(in: database, batchSize) { fullBuckets(batchSize) },
            mutationRequests: try await delete(in: database, batchSize) { oldRequests(batchSize) })
    }

    private static func delete(
        in database: PostgresClient, _ batchSize: Int, _ statement: () -> BoundStatement
    ) async throws -> Int {
        var total = 0
        while true {
            try Task.checkCancellation()
            let deleted = try await database.write(statement()).affectedRows
            total += deleted
            if deleted < batchSize { return total }
        }
    }

    /// Analytics look back 30 days, so a session stays that long after it would have expired, ended early or not.
    private static let expiredSessions = Statement(
        "sessions.purge",
        """
        DELETE FROM sessions
        WHERE id IN (
            SELECT id
            FROM sessions
            WHERE expires_at < now() - interval '31 days'
            ORDER BY expires_at
            LIMIT $1
            FOR UPDATE SKIP LOCKED)
        """)

    private static let expiredTokens = Statement(
        "refresh_tokens.purge",
        """
        DELETE FROM refresh_tokens
        WHERE id IN (
            SELECT id
            FROM refresh_tokens
            WHERE id < $1 AND expires_at < now()
            ORDER BY id
            LIMIT $2
            FOR UPDATE SKIP LOCKED)
        """)

    /// Buckets refill within an hour, and a full one is the same as none.
    private static let fullBuckets = Statement(
        "rate_limits.purge",
        """
        DELETE FROM rate_limits
        WHERE key IN (
            SELECT key
            FROM rate_limits
            WHERE updated_at < now() - interval '1 hour'
            ORDER BY updated_at
            LIMIT $1
            FOR UPDATE SKIP LOCKED)
        """)

    /// Clients are promised that a mutation can be repeated for 14 days.
    private static let oldRequests = Statement(
        "mutation_requests.purge",
        """
        DELETE FROM mutation_requests
        WHERE (session_id, request_id) IN (
            SELECT session_id, request_id
            FROM mutation_requests
            WHERE created_at < now() - interval '14 days'
            ORDER BY created_at
            LIMIT $1
            FOR UPDATE SKIP LOCKED)
        """)
}
