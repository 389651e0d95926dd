import Domain
import Postgres
import Registry
import Store

/// What others see of an account; the e-mail address only the account itself and administrators see.
public struct UserProfile: ConvexObject {
    public let id: UserID
    public let name: String
    public let email: String?
    public let avatarURL: String?
    public let bio: String?
    public let role: Role
    public let accountType: AccountType?
    public let createdAt: Instant
    /// What is left of an account that was removed: nobody can write to it.
    public let isRemoved: Bool

    public static let shape = ObjectShape<UserProfile>(
        .required("_id") { $0.id },
        .required("name") { $0.name },
        .optional("email") { $0.email },
        .optional("avatarUrl") { $0.avatarURL },
        .optional("bio") { $0.bio },
        .required("role") { $0.role },
        .optional("accountType") { $0.accountType },
        .required("createdAt") { $0.createdAt },
        .optional("isRemoved") { $0.isRemoved ? true : nil })

    /// What every statement that reads profiles selects, from a table or alias `users`, in this order.
    public static let columns = """
        users.id, users.name, users.email, users.avatar_url, users.bio, users.role, users.account_type, users.created_at,
        users.removed_at IS NOT NULL
        """
    public static let columnCount = 9

    /// Reads `columns`, of which the first is number `first`, as `viewer` may see them.
    public init(_ row: Row, first: Int = 0, viewer: Principal) throws {
        let id: UserID = try row.decode(first)
        self.id = id
        name = try row.decode(first + 1)
        email = viewer.userID == id || viewer.role == .admin ? try row.decode(first + 2) : nil
        avatarURL = try row.decode(first + 3)
        bio = try row.decode(first + 4)
        role = try row.decode(first + 5)
        accountType = try row.decode(first + 6)
        createdAt = try row.decode(first + 7)
        isRemoved = try row.decode(first + 8)
    }
}
