import Domain
import Models
import Postgres
import Registry
import Store

/// auth:getCurrentUser
enum GetCurrentUser {
    static let function = FunctionDefinition.query(
        "auth:getCurrentUser", "The caller's own account, or null for a caller who is not signed in.",
        access: .anyone,
        arguments: Arguments(),
        returns: User?.self
    ) { context, _ in
        guard let principal = context.caller.principal else { return nil }
        return try await context.rows(find(principal.userID), reading: .user(principal.userID)).first.map { try User($0) }
    }

    private static let find = Statement(
        "users.current",
        """
        SELECT \(UserProfile.columns)
        FROM users
        WHERE users.id = $1
          AND users.removed_at IS NULL
        """)
}
