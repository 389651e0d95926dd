import Domain
import Postgres

/// Removing accounts, and seeing to it that an administrator is left.
extension UserStore {
    /// The accounts that are administrators. Until the transaction ends none of them is removed or demoted by another one that
    /// asks for them first, as all do.
    public static func lockAdministrators(in transaction: Transaction) async throws -> Set<UserID> {
        Set(try await transaction.execute(administrators()).map { try $0.decode(0, as: UserID.self) })
    }

    /// Makes a tombstone of an account, to which messages can still refer: ends its sessions, and deletes all that tells who
    /// it was.
    ///
    /// Rate limits know it by a pseudonym, and forget it within two hours.
    /// - Returns: false when there is no such account, or no longer.
    public static func remove(_ id: UserID, in transaction: Transaction) async throws -> Bool {
        let results = try await transaction.execute([
            tombstone(id), SessionStore.endAllOfUser(id), SessionStore.discardTokensOfUser(id), MutationRequests.forgetProfiles(id),
        ])
        return results[0].affectedRows == 1
    }

    /// In one order, so that two who do so at once wait for each other and do not deadlock.
    private static let administrators = Statement(
        "users.lock_administrators",
        """
        SELECT id
        FROM users
        WHERE role = 'admin' AND removed_at IS NULL
        ORDER BY id
        FOR NO KEY UPDATE
        """)

    private static let tombstone = Statement(
        "users.remove",
        """
        UPDATE users
        SET removed_at = now(), name = 'Removed user', email = NULL, password_hash = NULL, bio = NULL, avatar_url = NULL,
            role = 'user', account_type = NULL
        WHERE id = $1 AND removed_at IS NULL
        """)
}
