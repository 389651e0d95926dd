import Domain
import Postgres

/// A session that vouches for its user: not ended, not expired, of an account that is not removed.
public struct LiveSession: Sendable {
    public let principal: Principal
    public let expiresAt: Instant

    public init(principal: Principal, expiresAt: Instant) {
        self.principal = principal
        self.expiresAt = expiresAt
    }
}

/// A refresh token, in the API `<tokenId>|<sessionId>`.
public struct RefreshToken: Hashable, Sendable {
    public let id: RefreshTokenID
    public let sessionID: SessionID

    public init(id: RefreshTokenID, sessionID: SessionID) {
        self.id = id
        self.sessionID = sessionID
    }
}

/// Who a fresh pair of tokens is for.
public struct Grant: Hashable, Sendable {
    public let userID: UserID
    public let refreshToken: RefreshToken
    public var sessionID: SessionID { refreshToken.sessionID }

    public init(userID: UserID, refreshToken: RefreshToken) {
        self.userID = userID
        self.refreshToken = refreshToken
    }
}

/// What comes of presenting a refresh token.
public enum Rotation: Equatable, Sendable {
    case granted(Grant)
    /// The token, of this user, had been used before, and longer ago than a client that lost the answer needs.
    case reused(UserID)
    /// The token is worth nothing, and if its session was alive until now, it was this user's.
    case dead(endedSessionOf: UserID?)
}

/// The `sessions` and `refresh_tokens` tables: sign-ins, and the tokens that prolong them (convex-protocol.md 6.3).
public enum SessionStore {
    /// Opens a session with its first refresh token, both good for 30 days, and ends the one that it replaces.
    ///
    /// - Returns: nil when there is no such account, or no longer.
    public static func open(
        for userID: UserID, replacing replaced: SessionID?, in database: some StatementExecutor
    ) async throws -> Grant? {
        guard let row = try await database.execute(opening(userID, replaced)).first else { return nil }
        return Grant(userID: userID, refreshToken: RefreshToken(id: try row.decode(0), sessionID: try row.decode(1)))
    }

    /// Those of the sessions that are live.
    public static func live(_ ids: [SessionID], in database: some StatementExecutor) async throws -> [LiveSession] {
        try await database.execute(liveness(PostgresArray(ids))).map { row in
            let principal = Principal(userID: try row.decode(1), sessionID: try row.decode(0), role: try row.decode(2))
            return LiveSession(principal: principal, expiresAt: try row.decode(3))
        }
    }

    /// Ends a session and deletes its refresh tokens: two statements for one transaction.
    public static func ending(of id: SessionID) -> [BoundStatement] {
        [end(id), discardTokens(id)]
    }

    /// Exchanges a refresh token for the next one, by the rules of convex-protocol.md 6.3, as one transaction.
    ///
    /// An unknown, expired or mismatched token takes its session with it.
    public static func rotate(_ token: RefreshToken, in database: PostgresClient) async throws -> Rotation {
        // The lock is a statement of its own: a statement that has waited for a lock still sees the rows as they were
        // before it waited, the next one sees what the transaction before it has done.
        let results = try await database.write([lock(token.sessionID), rotation(token.id, token.sessionID)])
        guard let row = results[1].first else { return .dead(endedSessionOf: nil) }
        let userID: UserID = try row.decode(0)
        if try row.decode(2, as: Bool.self) { return .dead(endedSessionOf: userID) }
        guard let successor: RefreshTokenID = try row.decode(1) else { return .reused(userID) }
        return .granted(Grant(userID: userID, refreshToken: RefreshToken(id: successor, sessionID: token.sessionID)))
    }

    private static let opening = Statement(
        "sessions.open",
        """
        WITH replaced AS (
            UPDATE sessions
            SET ended_at = now()
            WHERE id = $2 AND ended_at IS NULL
        ), discarded AS (
            DELETE FROM refresh_tokens
            WHERE session_id = $2
        ), opened AS (
            INSERT INTO sessions (user_id, expires_at)
            SELECT id, now() + interval '30 days'
            FROM users
            WHERE id = $1 AND removed_at IS NULL
            -- Waits for a removal that has begun, and then finds nobody.
            FOR KEY SHARE
            RETURNING id
        )
        INSERT INTO refresh_tokens (session_id, expires_at)
        SELECT id, now() + interval '30 days'
        FROM opened
        RETURNING id, session_id
        """)

    private static let liveness = Statement(
        "sessions.live",
        """
        SELECT sessions.id, sessions.user_id, users.role, sessions.expires_at
        FROM sessions
        JOIN users ON users.id = sessions.user_id
        WHERE sessions.id = ANY ($1)
            AND sessions.ended_at IS NULL
            AND sessions.expires_at > now()
            AND users.removed_at IS NULL
        """)

    private static let end = Statement(
        "sessions.end",
        """
        UPDATE sessions
        SET ended_at = now()
        WHERE id = $1 AND ended_at IS NULL
        RETURNING user_id
        """)

    private static let discardTokens = Statement(
        "refresh_tokens.discard",
        """
        DELETE FROM refresh_tokens
        WHERE session_id = $1
        """)

    static let endAllOfUser = Statement(
        "sessions.end_all_of_user",
        """
        UPDATE sessions
        SET ended_at = now()
        WHERE user_id = $1 AND ended_at IS NULL AND expires_at > now()
        """)

    static let discardTokensOfUser = Statement(
        "refresh_tokens.discard_of_user",
        """
        DELETE FROM refresh_tokens
        USING sessions
        WHERE sessions.id = refresh_tokens.session_id AND sessions.user_id = $1
        """)

    private static let lock = Statement(
        "sessions.lock",
        """
        SELECT id
        FROM sessions
        WHERE id = $1
        FOR NO KEY UPDATE
        """)

    /// Newest is by id: ids are made after the lock was got, while `now()` may be from before.
    private static let rotation = Statement(
        "refresh_tokens.rotate",
        """
        WITH RECURSIVE presented AS (
            SELECT token.id, token.first_used_at, sessions.user_id
            FROM refresh_tokens AS token
            JOIN sessions ON sessions.id = token.session_id
            JOIN users ON users.id = sessions.user_id
            WHERE token.id = $1
                AND token.session_id = $2
                AND token.expires_at > now()
                AND sessions.ended_at IS NULL
                AND sessions.expires_at > now()
                AND users.removed_at IS NULL
        ), active AS (
            SELECT id, parent_id
            FROM refresh_tokens
            WHERE session_id = $2 AND first_used_at IS NULL AND expires_at > now()
            ORDER BY id DESC
            LIMIT 1
        ), decision AS (
            SELECT
                presented.user_id,
                active.id AS active_id,
                CASE
                    WHEN presented.first_used_at IS NULL THEN 'first use'
                    WHEN active.parent_id = presented.id THEN 'lost answer'
                    WHEN presented.first_used_at > now() - interval '10 seconds' THEN 'overlap'
                    ELSE 'reuse'
                END AS kind
            FROM presented
            LEFT JOIN active ON true
        ), marked AS (
            UPDATE refresh_tokens
            SET first_used_at = now()
            WHERE id = $1 AND (SELECT kind FROM decision) = 'first use'
        ), issued AS (
            INSERT INTO refresh_tokens (session_id, parent_id, expires_at)
            SELECT $2, $1, now() + interval '30 days'
            FROM decision
            WHERE kind IN ('first use', 'overlap')
            RETURNING id
        ), subtree AS (
            SELECT $1::uuid AS id
            FROM decision
            WHERE kind = 'reuse'
            UNION
            SELECT child.id
            FROM refresh_tokens AS child
            JOIN subtree ON subtree.id = child.parent_id
        ), invalidated AS (
            -- As if used longer ago than the overlap allows.
            UPDATE refresh_tokens
            SET first_used_at = LEAST(first_used_at, now() - interval '10 seconds')
            WHERE id IN (SELECT id FROM subtree)
        ), ended AS (
            UPDATE sessions
            SET ended_at = now()
            WHERE id = $2 AND ended_at IS NULL AND NOT EXISTS (SELECT FROM presented)
            RETURNING user_id
        ), discarded AS (
            DELETE FROM refresh_tokens
            WHERE session_id = $2 AND NOT EXISTS (SELECT FROM presented)
        )
        SELECT
            user_id,
            CASE kind
                WHEN 'lost answer' THEN active_id
                ELSE (SELECT id FROM issued)
            END,
            false
        FROM decision
        UNION ALL
        SELECT user_id, NULL, true
        FROM ended
        """)
}
