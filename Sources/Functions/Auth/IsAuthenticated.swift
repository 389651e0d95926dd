import Registry

/// auth:isAuthenticated
enum IsAuthenticated {
    /// Depends on no rows: it runs again when the caller becomes somebody else.
    static let function = FunctionDefinition.query(
        "auth:isAuthenticated", "Whether the caller is signed in.",
        access: .anyone,
        returns: Bool.self
    ) { context in
        context.caller.principal != nil
    }
}
