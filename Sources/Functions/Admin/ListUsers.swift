import Domain
import Models
import Postgres
import Registry
import Store

/// admin:listUsers
enum ListUsers {
    static let function = FunctionDefinition.query(
        "admin:listUsers",
        "All accounts that are not removed, the newest first, each with its e-mail address and when it was last active.",
        access: .admin,
        arguments: Arguments(.optional("paginationOpts", PaginationOptions.self)),
        returns: Page<AccountSummary>.self
    ) { context, options in
        let range = try context.pageRange(options, of: list)
        let rows = try await context.rows(
            page(range.below?.id ?? .highest, range.atLeast?.id ?? .lowest, range.isEmpty ? 0 : range.limit),
            reading: .all(of: .users), .all(of: .userActivity))
        let accounts = try rows.map { try AccountSummary($0) }
        return context.page(accounts.map { (ListKey($0.user.id.uuid), $0) }, range: range, of: list)
    }

    private static let list = "admin:listUsers"

    /// Exclusive upper and inclusive lower bound of the id, limit.
    private static let page = Statement(
        "users.page",
        """
        SELECT \(UserProfile.columns), user_activity.last_active_at
        FROM users
        LEFT JOIN user_activity ON user_activity.user_id = users.id
        WHERE users.id < $1
          AND users.id >= $2
          AND users.removed_at IS NULL
        ORDER BY users.id DESC
        LIMIT $3
        """)
}
