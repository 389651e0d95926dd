import Accounts
import Domain
import Postgres
import Registry

/// admin:removeUser
enum RemoveUser {
    static let function = FunctionDefinition.mutation(
        "admin:removeUser",
        "Removes another user's account for good: its sessions end, and nothing but the id and the messages it wrote and got is left.",
        access: .admin,
        arguments: Arguments(.required("userId", UserID.self)),
        returns: Null.self
    ) { context, userID in
        let administrator = try context.principal
        try await context.transaction { transaction in
            try await AccountRemoval.remove(userID, by: administrator, in: transaction)
        }
        return Null()
    }
}
