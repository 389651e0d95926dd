import Registry

/// auth:isAuthenticated
enum IsAuthenticated {
    /// Depends on no rows: it runs again when the caller becomes somebody else.
    static let function = FunctionDefinition.query(
        "auth:isAuthenticated", "Whether the caller is signed in.",
        access: .anyone,
        arguments: Arguments(),
        returns: Bool.self
    ) { context, _ in
        context.caller.principal != nil
    }
}
