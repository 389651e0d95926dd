import Domain
import Postgres
import Store

/// What the operator may do from the command line, without signing in.
extension Accounts {
    /// Makes an account. Throws `conflict` when the address has one.
    ///
    /// - Parameter password: nil for an account that nobody can sign in to with a password.
    public func createUser(
        email: EmailAddress, name: DisplayName, role: Role = .user, accountType: AccountType? = nil, password: Password?
    ) async throws -> UserID {
        do {
            return try await create(email: email, name: name, role: role, accountType: accountType, password: password)
        } catch UserStore.InsertionFailure.emailIsTaken {
            throw APIError.conflict("Account \(email.text) already exists")
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
            return try await create(email: email, name: name, role: .admin, accountType: nil, password: password)
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

    /// Throws `not_found` when there is no such account, or no longer.
    public func setRole(_ role: Role, of userID: UserID) async throws {
        guard try await UserStore.setRole(role, of: userID, in: database) else { throw Self.noSuchAccount }
        sessions.usersChanged([userID])
    }

    /// Removes an account and ends its sessions. Its messages stay, under its name, for those who wrote with it.
    ///
    /// Throws `not_found` when there is no such account, or no longer.
    public func removeUser(_ userID: UserID) async throws {
        let results = try await database.write(UserStore.removal(of: userID))
        guard results[0].affectedRows == 1 else { throw Self.noSuchAccount }
        sessions.usersChanged([userID])
    }

    /// Signs in as the account, without its password. Throws `not_found` when there is no such account, or no longer.
    public func issueTokens(for userID: UserID) async throws -> TokenPair {
        guard let grant = try await SessionStore.open(for: userID, replacing: nil, in: database) else {
            throw Self.noSuchAccount
        }
        return try issue(grant)
    }

    private static let noSuchAccount = APIError.notFound("There is no such account.")
}
