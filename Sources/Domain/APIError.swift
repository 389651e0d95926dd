/// What the caller is told when a function refuses: the ApiError of the API document. It reaches a stock client as a
/// `ConvexError` whose `data` is `{code, message, details?}`.
public struct APIError: Error, Equatable, Sendable {
    /// The stable codes, listed in docs/errors.md.
    public enum Code: String, Sendable, CaseIterable {
        case unauthorized
        case forbidden
        case notFound = "not_found"
        case validationError = "validation_error"
        case internalError = "internal_error"
        case rateLimited = "rate_limited"
        case conflict
    }

    public let code: Code
    /// One sentence for a person. Never SQL, a path, a secret, or another user's data.
    public let message: String
    /// More for the program, by name.
    public let details: [String: String]
    /// What clients look for besides the ApiError: `{"isConvexSystemError": true, "paginationError": …}` makes
    /// `usePaginatedQuery` start over (convex-protocol.md 5).
    public let paginationError: String?

    public init(_ code: Code, _ message: String, details: [String: String] = [:], paginationError: String? = nil) {
        self.code = code
        self.message = message
        self.details = details
        self.paginationError = paginationError
    }

    public static let unauthorized = APIError(.unauthorized, "Sign in to do this.")
    public static func forbidden(_ message: String) -> APIError { APIError(.forbidden, message) }
    public static func notFound(_ message: String) -> APIError { APIError(.notFound, message) }
    public static func conflict(_ message: String) -> APIError { APIError(.conflict, message) }

    /// A value that fits its type but not the rules; `path` leads to it from the arguments: `.messageIds[3]`.
    public static func invalid(_ path: String, _ message: String) -> APIError {
        APIError(.validationError, message, details: ["path": path])
    }
}
