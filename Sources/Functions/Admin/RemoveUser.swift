import Accounts
import Domain
import Postgres
import Registry

/// admin:removeUser
enum RemoveUser {
    static let function = FunctionDefinition.mutation(
        "admin:removeUser",
        "Removes another user's account for good: its sessions end; its messages stay, without its name, for those who got them.",
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
