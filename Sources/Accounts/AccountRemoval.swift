import Domain
import Postgres
import Store
import Wire

/// The rules by which accounts are removed and administrators demoted, whoever does it. Each is done in the caller's transaction,
/// together with the security event that tells of it.
public enum AccountRemoval {
    /// Ends all sessions of an account, and makes a tombstone of it. What was written with it stays for the other side.
    ///
    /// Throws `not_found` when there is no such account, or no longer; `conflict` for the last administrator, and for the
    /// administrator's own account; `forbidden` when the administrator is none any more.
    /// - Parameter administrator: who does it; nil: the operator.
    public static func remove(_ userID: UserID, by administrator: Principal?, in transaction: Transaction) async throws {
        let administrators = try await UserStore.lockAdministrators(in: transaction)
        if let administrator {
            // Perhaps somebody else has removed or demoted the caller just now.
            guard administrators.contains(administrator.userID) else {
                throw APIError.forbidden("Only administrators may do this.")
            }
            guard administrator.userID != userID else {
                throw APIError.conflict("You cannot remove your own account. Ask another administrator, or the operator.")
            }
        }
        guard administrators != [userID] else { throw lastAdministrator("removed") }
        guard try await UserStore.remove(userID, in: transaction) else { throw noSuchAccount }
        _ = try await transaction.execute(event(of: userID, by: administrator))
    }

    /// Takes an administrator's rights from an account; one that has none stays as it is.
    ///
    /// Throws `not_found` when there is no such account, or no longer, and `conflict` for the last administrator.
    static func demote(_ userID: UserID, in transaction: Transaction) async throws {
        let administrators = try await UserStore.lockAdministrators(in: transaction)
        guard administrators != [userID] else { throw lastAdministrator("demoted") }
        guard try await UserStore.setRole(.user, of: userID, in: transaction) else { throw noSuchAccount }
    }

    static let noSuchAccount = APIError.notFound("There is no such account.")

    private static func lastAdministrator(_ deed: String) -> APIError {
        APIError.conflict(
            "The last administrator cannot be \(deed). Make another account one first: 'attune user promote EMAIL'.")
    }

    private static func event(of userID: UserID, by administrator: Principal?) -> BoundStatement {
        guard let administrator else {
            return SecurityEventStore.insertion(
                SecurityEventType.userDeleted, .medium, "The operator removed the account.", user: userID,
                source: "attune:operator")
        }
        let context = JSON.object([
            .init(key: "administrator", value: .string("\(administrator.userID)")),
            .init(key: "session", value: .string("\(administrator.sessionID)")),
        ])
        return SecurityEventStore.insertion(
            SecurityEventType.userDeleted, .medium, "An administrator removed the account.", user: userID, source: "attune:api",
            context: context.text)
    }
}
