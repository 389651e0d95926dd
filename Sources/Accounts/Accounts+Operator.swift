import Domain
import Postgres
import Store
import Wire

/// What the operator may do from the command line, without signing in. Each deed is recorded as a security event, in the
/// transaction that does it.
extension Accounts {
    /// Makes an account. Throws `conflict` when the address has one.
    ///
    /// - Parameter password: nil for an account that nobody can sign in to with a password.
    public func createUser(
        email: EmailAddress, name: DisplayName, role: Role = .user, accountType: AccountType? = nil, password: Password?
    ) async throws -> UserID {
        do {
            return try await createRecorded(email: email, name: name, role: role, accountType: accountType, password: password)
        } catch UserStore.InsertionFailure.emailIsTaken {
            throw APIError.conflict("Account \(email.text) already exists")
        }
    }

    /// Throws `UserStore.InsertionFailure.emailIsTaken`.
    private func createRecorded(
        email: EmailAddress, name: DisplayName, role: Role, accountType: AccountType?, password: Password?
    ) async throws -> UserID {
        var passwordHash: String?
        if let password { passwordHash = try await hasher.hash(password) }
        return try await database.withTransaction { transaction in
            let userID = try await insert(
                email: email, name: name, role: role, accountType: accountType, passwordHash: passwordHash, in: transaction)
            try await record(
                SecurityEventType.userCreated, role == .admin ? .medium : .low,
                "The operator made an account with the role \(role.rawValue).", of: userID, in: transaction)
            return userID
        }
    }

    /// Sees to it that there is an administrator of that address: makes the account, or promotes the one that is there,
    /// whose name and password stay as they are.
    public func ensureAdministrator(email: EmailAddress, name: DisplayName, password: Password) async throws -> UserID {
        if let user = try await user(email) {
            if user.role != .admin { try await setRole(.admin, of: user.id) }
            return user.id
        }
        do {
            return try await createRecorded(email: email, name: name, role: .admin, accountType: nil, password: password)
        } catch UserStore.InsertionFailure.emailIsTaken {
            // Several processes start at once.
            return try await ensureAdministrator(email: email, name: name, password: password)
        }
    }

    public func user(_ email: EmailAddress) async throws -> UserRecord? {
        try await UserStore.find(byEmail: email.text, in: database.reading)
    }

    /// At most `limit` accounts that are not removed, oldest first, after the given one.
    public func users(after id: UserID? = nil, limit: Int = 1000) async throws -> [UserRecord] {
        try await UserStore.list(after: id, limit: limit, in: database.reading)
    }

    /// Throws `not_found` when there is no such account, or no longer, and `conflict` when the last administrator would be none
    /// any more.
    public func setRole(_ role: Role, of userID: UserID) async throws {
        try await database.withTransaction { transaction in
            switch role {
            case .user: try await AccountRemoval.demote(userID, in: transaction)
            case .admin:
                guard try await UserStore.setRole(.admin, of: userID, in: transaction) else { throw AccountRemoval.noSuchAccount }
            }
            try await record(
                SecurityEventType.roleChange, .medium, "The operator gave the account the role \(role.rawValue).", of: userID,
                in: transaction)
        }
        sessions.usersChanged([userID])
    }

    /// Removes an account, as `AccountRemoval` says.
    public func removeUser(_ userID: UserID) async throws {
        try await database.withTransaction { try await AccountRemoval.remove(userID, by: nil, in: $0) }
        sessions.usersChanged([userID])
    }

    /// The account's open sessions, the newest first.
    public func openSessions(of userID: UserID) async throws -> [OpenSession] {
        try await SessionStore.open(of: userID, in: database.reading)
    }

    /// Ends all sessions of an account: here when this returns, on workers with their next tick. Gives how many there were.
    public func signOut(_ userID: UserID) async throws -> Int {
        let count = try await database.withTransaction { transaction in
            let count = try await SessionStore.endAll(of: userID, in: transaction)
            if count > 0 {
                try await record(
                    SecurityEventType.sessionEnded, .medium, "The operator ended all sessions of the account.", of: userID,
                    in: transaction)
            }
            return count
        }
        sessions.usersChanged([userID])
        return count
    }

    /// Ends one session. Throws `not_found` when there is no such session, or no longer.
    public func endSession(_ id: SessionID) async throws {
        try await database.withTransaction { transaction in
            guard let userID = try await SessionStore.end(id, in: transaction) else {
                throw APIError.notFound("There is no such session, or it has ended.")
            }
            try await record(
                SecurityEventType.sessionEnded, .medium, "The operator ended a session of the account.", of: userID, session: id,
                in: transaction)
        }
        sessions.sessionsChanged([id])
    }

    /// Signs in as the account, without its password. Throws `not_found` when there is no such account, or no longer.
    public func issueTokens(for userID: UserID) async throws -> TokenPair {
        let grant = try await database.withTransaction { transaction in
            guard let grant = try await SessionStore.open(for: userID, replacing: nil, in: transaction) else {
                throw AccountRemoval.noSuchAccount
            }
            try await record(
                SecurityEventType.sessionCreated, .medium, "The operator opened a session of the account without its password.",
                of: userID, in: transaction)
            return grant
        }
        return try issue(grant)
    }

    private func record(
        _ type: String, _ severity: Severity, _ details: String, of userID: UserID, session: SessionID? = nil,
        in transaction: Transaction
    ) async throws {
        let context = session.map { JSON.object([.init(key: "session", value: .string("\($0)"))]).text }
        _ = try await transaction.execute(
            SecurityEventStore.insertion(type, severity, details, user: userID, source: "attune:operator", context: context))
    }
}
