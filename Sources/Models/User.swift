import Domain
import Postgres
import Registry
import Store

/// An account as its owner sees it.
public struct User: ConvexObject {
    public let id: UserID
    public let name: String
    public let email: String
    public let avatarURL: String?
    public let bio: String?
    public let role: Role
    public let accountType: AccountType?
    public let createdAt: Instant

    public static let shape = ObjectShape<User>(
        .required("_id") { $0.id },
        .required("name") { $0.name },
        .required("email") { $0.email },
        .optional("avatarUrl") { $0.avatarURL },
        .optional("bio") { $0.bio },
        .required("role") { $0.role },
        .optional("accountType") { $0.accountType },
        .required("createdAt") { $0.createdAt })

    /// Reads `UserProfile.columns` of an account that has not been removed.
    public init(_ row: Row) throws {
        id = try row.decode(0)
        name = try row.decode(1)
        email = try row.decode(2)
        avatarURL = try row.decode(3)
        bio = try row.decode(4)
        role = try row.decode(5)
        accountType = try row.decode(6)
        createdAt = try row.decode(7)
    }
}
