/// Why a token does not authenticate its bearer (convex-protocol.md 4.3). Over HTTP: 401 with `{code, message}`; on a
/// socket: AuthError.
public struct AuthenticationFailure: Error, Equatable, Sendable {
    public enum Code: String, Sendable {
        /// Not a token at all.
        case invalidAuthHeader = "InvalidAuthHeader"
        /// A token of another issuer, or for another audience.
        case noAuthProvider = "NoAuthProvider"
        /// A token of ours, forged, expired, or of a session that has ended.
        case unauthenticated = "Unauthenticated"
    }

    public let code: Code
    /// One sentence for a person.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    static let malformed = AuthenticationFailure(.invalidAuthHeader, "Could not parse the token.")
    static let foreign = AuthenticationFailure(.noAuthProvider, "The token was issued by somebody else, or for somebody else.")
    static let forged = AuthenticationFailure(.unauthenticated, "Could not verify the token's signature.")
    static let expired = AuthenticationFailure(.unauthenticated, "The token has expired.")
    static let sessionEnded = AuthenticationFailure(.unauthenticated, "The session has ended.")
}
