/// What a user may do.
public enum Role: String, Sendable, CaseIterable {
    case user
    case admin
}

/// Which side of the care relation an account is on.
public enum AccountType: String, Sendable, CaseIterable {
    case therapist
    case client
}

/// Who calls a function.
public enum Caller: Hashable, Sendable {
    case anonymous
    case user(Principal)

    public var principal: Principal? {
        if case .user(let principal) = self { principal } else { nil }
    }
}

/// A signed-in caller: the account, its role, and the session that vouches for it.
public struct Principal: Hashable, Sendable {
    public let userID: UserID
    public let sessionID: SessionID
    public let role: Role

    public init(userID: UserID, sessionID: SessionID, role: Role) {
        self.userID = userID
        self.sessionID = sessionID
        self.role = role
    }
}
