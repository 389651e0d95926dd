import Domain
import Postgres

/// A row of `users`, without its password.
public struct UserRecord: Equatable, Sendable {
    public let id: UserID
    /// Nil once the account is removed.
    public let email: String?
    public let name: String
    public let bio: String?
    public let avatarURL: String?
    public let role: Role
    public let accountType: AccountType?
    public let createdAt: Instant
    public let removedAt: Instant?

    /// The select list that `init(row:)` reads.
    static let columns = "id, email, name, bio, avatar_url, role, account_type, created_at, removed_at"

    init(row: Row) throws(PostgresError) {
        id = try row.decode(0)
        email = try row.decode(1)
        name = try row.decode(2)
        bio = try row.decode(3)
        avatarURL = try row.decode(4)
        role = try row.decode(5)
        accountType = try row.decode(6)
        createdAt = try row.decode(7)
        removedAt = try row.decode(8)
    }
}

/// The `users` table: accounts and who they are.
public enum UserStore {
    /// What a password is checked against.
    public struct Credentials: Sendable {
        public let userID: UserID
        /// Nil: the account has no password.
        public let passwordHash: String?
    }

    /// Why an account was not made.
    public enum InsertionFailure: Error {
        case emailIsTaken
        /// PostgreSQL's own idea of lower case differs from ours for this address.
        case emailIsRefused
    }

    /// The account, removed ones included.
    public static func find(_ id: UserID, in database: some StatementExecutor) async throws -> UserRecord? {
        try await database.execute(byID(id)).first.map(UserRecord.init(row:))
    }

    /// `email` in lower case, without surrounding blanks.
    public static func find(byEmail email: String, in database: some StatementExecutor) async throws -> UserRecord? {
        try await database.execute(byEmail(email)).first.map(UserRecord.init(row:))
    }

    public static func credentials(forEmail email: String, in database: some StatementExecutor) async throws -> Credentials? {
        guard let row = try await database.execute(credentialsByEmail(email)).first else { return nil }
        return Credentials(userID: try row.decode(0), passwordHash: try row.decode(1))
    }

    /// Makes an account. Throws `InsertionFailure` when the address stands in the way.
    public static func insert(
        email: String, name: DisplayName, role: Role, accountType: AccountType?, passwordHash: String?,
        in database: some StatementExecutor
    ) async throws -> UserID {
        do {
            let result = try await database.execute(insertion(email, name.text, role, accountType, passwordHash))
            guard let row = result.first else { throw InsertionFailure.emailIsTaken }
            return try row.decode(0)
        } catch let error as PostgresError where error.constraint == "users_email_form" {
            throw InsertionFailure.emailIsRefused
        }
    }

    /// - Returns: false when there is no such account, or no longer.
    public static func setRole(_ role: Role, of id: UserID, in database: some StatementExecutor) async throws -> Bool {
        try await database.execute(roleUpdate(id, role)).affectedRows == 1
    }

    /// At most `limit` accounts that are not removed, oldest first, after the given one.
    public static func list(
        after id: UserID? = nil, limit: Int, in database: some StatementExecutor
    ) async throws -> [UserRecord] {
        try await database.execute(page(id ?? UserID(.lowest), limit)).map(UserRecord.init(row:))
    }

    private static let byID = Statement("users.find", "SELECT \(UserRecord.columns) FROM users WHERE id = $1")

    private static let byEmail = Statement("users.find_by_email", "SELECT \(UserRecord.columns) FROM users WHERE email = $1")

    private static let credentialsByEmail = Statement(
        "users.credentials",
        """
        SELECT id, password_hash
        FROM users
        WHERE email = $1
        """)

    private static let insertion = Statement(
        "users.insert",
        """
        INSERT INTO users (email, name, role, account_type, password_hash)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
        RETURNING id
        """)

    private static let roleUpdate = Statement(
        "users.set_role",
        """
        UPDATE users
        SET role = $2
        WHERE id = $1 AND removed_at IS NULL
        """)

    private static let page = Statement(
        "users.list",
        """
        SELECT \(UserRecord.columns)
        FROM users
        WHERE id > $1 AND removed_at IS NULL
        ORDER BY id
        LIMIT $2
        """)
}
