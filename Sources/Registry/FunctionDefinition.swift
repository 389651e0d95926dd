import Domain
import Wire

/// What kind of function a client has to call it as.
public enum FunctionKind: String, Sendable {
    case query = "Query"
    case mutation = "Mutation"
    case action = "Action"
}

/// One function of the API: its name, who may call it, what it takes and gives, and what it does.
///
/// From this one declaration come argument checks, the HTTP and socket routes, live invalidation, metrics and documents.
public struct FunctionDefinition: Sendable {
    public let path: FunctionPath
    public let kind: FunctionKind
    /// One sentence for the API reference.
    public let summary: String
    public let access: Access
    public let arguments: Validator
    public let returns: Validator
    /// An action that clients may also call as a mutation.
    public let isAlsoMutation: Bool
    let body: Body

    /// The path as stock clients write it.
    public var name: String { path.description }

    /// Takes the arguments as they came, gives the result as JSON.
    enum Body: Sendable {
        case query(@Sendable (ConvexValue, QueryContext, JSONWriter.ValueFormat) async throws -> [UInt8])
        case mutation(@Sendable (ConvexValue, MutationContext, JSONWriter.ValueFormat) async throws -> [UInt8])
        case action(@Sendable (ConvexValue, ActionContext, JSONWriter.ValueFormat) async throws -> [UInt8])
    }

    /// Declares a query. `body` gets the context and the arguments, a tuple in the order in which they are listed.
    public static func query<Values: Sendable, Result: ConvexEncodable>(
        _ path: FunctionPath, _ summary: String, access: Access,
        arguments: Arguments<Values>, returns: Result.Type,
        body: @escaping @Sendable (QueryContext, Values) async throws -> Result
    ) -> FunctionDefinition {
        FunctionDefinition(
            path: path, kind: .query, summary: summary, access: access, arguments: arguments.validator, returns: Result.validator,
            isAlsoMutation: false,
            body: .query { value, context, format in
                try await body(context, try arguments.decode(value)).encoded(format)
            })
    }

    /// Declares a mutation.
    public static func mutation<Values: Sendable, Result: ConvexEncodable>(
        _ path: FunctionPath, _ summary: String, access: Access,
        arguments: Arguments<Values>, returns: Result.Type,
        body: @escaping @Sendable (MutationContext, Values) async throws -> Result
    ) -> FunctionDefinition {
        FunctionDefinition(
            path: path, kind: .mutation, summary: summary, access: access, arguments: arguments.validator, returns: Result.validator,
            isAlsoMutation: false,
            body: .mutation { value, context, format in
                try await body(context, try arguments.decode(value)).encoded(format)
            })
    }

    /// Declares an action.
    public static func action<Values: Sendable, Result: ConvexEncodable>(
        _ path: FunctionPath, _ summary: String, access: Access, isAlsoMutation: Bool = false,
        arguments: Arguments<Values>, returns: Result.Type,
        body: @escaping @Sendable (ActionContext, Values) async throws -> Result
    ) -> FunctionDefinition {
        FunctionDefinition(
            path: path, kind: .action, summary: summary, access: access, arguments: arguments.validator, returns: Result.validator,
            isAlsoMutation: isAlsoMutation,
            body: .action { value, context, format in
                try await body(context, try arguments.decode(value)).encoded(format)
            })
    }
}

extension ConvexEncodable {
    fileprivate func encoded(_ format: JSONWriter.ValueFormat) -> [UInt8] {
        JSONWriter.bytes(format: format, capacity: 1024) { encode(into: &$0) }
    }
}
