import Domain
import Postgres

/// A session that has neither ended nor expired.
public struct OpenSession: Sendable {
    public let id: SessionID
    public let signedInAt: Instant
    /// As of what attune-metrics has counted; nil: never, or longer ago than raw facts are kept.
    public let lastActiveAt: Instant?
    public let expiresAt: Instant
}

/// What the operator does with sessions.
extension SessionStore {
    /// The account's open sessions, the newest first; at most 1000.
    public static func open(of userID: UserID, in database: some StatementExecutor) async throws -> [OpenSession] {
        try await database.execute(listing(userID)).map { row in
            OpenSession(
                id: try row.decode(0), signedInAt: try row.decode(1), lastActiveAt: try row.decode(2), expiresAt: try row.decode(3))
        }
    }

    /// Ends a session, and gives whose it was; nil when there is no such session, or no longer.
    public static func end(_ id: SessionID, in transaction: Transaction) async throws -> UserID? {
        try await transaction.execute(ending(of: id))[0].first?.decode(0)
    }

    /// Ends all sessions of an account, and gives how many there were.
    public static func endAll(of userID: UserID, in transaction: Transaction) async throws -> Int {
        try await transaction.execute([endAllOfUser(userID), discardTokensOfUser(userID)])[0].affectedRows
    }

    private static let listing = Statement(
        "sessions.list_open",
        """
        SELECT
            sessions.id,
            sessions.created_at,
            (SELECT max(visits.last_active_at) FROM visits WHERE visits.session_id = sessions.id),
            sessions.expires_at
        FROM sessions
        WHERE sessions.user_id = $1
            AND sessions.ended_at IS NULL
            AND sessions.expires_at > now()
        ORDER BY sessions.id DESC
        LIMIT 1000
        """)
}
