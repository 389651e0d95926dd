import Domain
import Postgres
import Registry

/// An account as administrators see it in the list of all.
public struct AccountSummary: ConvexObject {
    public let user: User
    /// Nil: never, or not counted yet.
    public let lastActiveAt: Instant?

    public static let shape = ObjectShape<AccountSummary>(
        .required("_id") { $0.user.id },
        .required("name") { $0.user.name },
        .required("email") { $0.user.email },
        .optional("avatarUrl") { $0.user.avatarURL },
        .optional("bio") { $0.user.bio },
        .required("role") { $0.user.role },
        .optional("accountType") { $0.user.accountType },
        .required("createdAt") { $0.user.createdAt },
        .optional("lastActiveAt") { $0.lastActiveAt })

    /// Reads `UserProfile.columns` of an account that has not been removed, then when it was last active.
    public init(_ row: Row) throws {
        user = try User(row)
        lastActiveAt = try row.decode(UserProfile.columnCount)
    }
}
