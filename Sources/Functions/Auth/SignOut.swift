import Domain
import Registry

/// auth:signOut
enum SignOut {
    static let function = FunctionDefinition.action(
        "auth:signOut", "Ends the caller's session, on all workers at once.",
        access: .signedIn,
        isAlsoMutation: true,
        arguments: Arguments(),
        returns: Null.self
    ) { context, _ in
        guard let principal = context.caller.principal else { throw APIError.unauthorized }
        try await context.accounts.signOut(principal, from: context.origin)
        return Null()
    }
}
