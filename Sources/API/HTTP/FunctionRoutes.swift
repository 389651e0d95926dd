import Domain
import Foundation
import HTTPTypes
import Hummingbird
import Postgres
import Registry
import Wire

/// Calling functions over HTTP: convex-protocol.md 1.
struct FunctionRoutes: Sendable {
    let runner: FunctionRunner
    let callers: CallerResolver

    func add(to router: Router<APIRequestContext>) {
        router.post("api/query") { try await call($0, $1, as: .query) }
        router.post("api/mutation") { try await call($0, $1, as: .mutation) }
        router.post("api/action") { try await call($0, $1, as: .action) }
        router.post("api/function") { try await call($0, $1, as: nil) }
        router.get("api/query") { try await callByAddress($0, $1) }
        router.post("api/query_batch") { try await callBatch($0, $1) }
        router.post("api/run/**") { try await run($0, $1) }
    }

    /// `{path, args, format?}`, with the kind in the address, or any kind.
    private func call(_ request: Request, _ context: APIRequestContext, as kind: FunctionKind?) async throws -> Response {
        try request.checkClientName()
        let body = try await request.json()
        let call = try FunctionCall(body, defaultFormat: request.standardFormat)
        let caller = try await callers.caller(of: request, context)
        return try await respond(to: call, as: kind, caller: caller, request, context)
    }

    /// A query whose path and arguments are in the address.
    private func callByAddress(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try request.checkClientName()
        let parameters = request.uri.queryParameters
        guard let path = parameters["path"] else { throw RequestFailure.badJSON("The address needs a parameter `path`.") }
        let arguments: JSON
        do {
            arguments = try JSON(parsing: String(parameters["args"] ?? "{}").utf8)
        } catch {
            throw RequestFailure.badJSON("The parameter `args` is not valid JSON: \(error).")
        }
        let format = parameters["format"].map { JSON.string(String($0)) } ?? .null
        let body = JSON.object([
            .init(key: "path", value: .string(String(path))), .init(key: "args", value: arguments), .init(key: "format", value: format),
        ])
        let call = try FunctionCall(body, defaultFormat: request.standardFormat)
        let caller = try await callers.caller(of: request, context)
        return try await respond(to: call, as: .query, caller: caller, request, context)
    }

    /// `/api/run/messages/list`: any public function, named in the address; for people with curl.
    private func run(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try request.checkClientName()
        let segments = context.parameters.getCatchAll().map { String($0).removingPercentEncoding ?? String($0) }
        guard segments.count >= 2, let function = segments.last else {
            throw RequestFailure(.badRequest, "MissingIdentifier", "The address has to name a module and a function: /api/run/messages/list.")
        }
        let path = segments.dropLast().joined(separator: "/") + ":" + function
        let call = try FunctionCall(try await request.json(), path: path, defaultFormat: .plain)
        let caller = try await callers.caller(of: request, context)
        return try await respond(to: call, as: nil, caller: caller, request, context)
    }

    private func respond(
        to call: FunctionCall, as kind: FunctionKind?, caller: Caller, _ request: Request, _ context: APIRequestContext
    ) async throws -> Response {
        let requestID = request.functionRequestID
        let clientAddress = callers.clientAddress(of: request, context)
        let outcome: Result<[UInt8], FunctionFailure>
        do {
            let function =
                if let kind {
                    try runner.find(call.path, as: kind, requestID: requestID)
                } else {
                    try runner.find(call.path, isPublicCall: false, requestID: requestID)
                }
            let arguments = try runner.decodeArguments(call.arguments, of: function, requestID: requestID)
            switch function.kind {
            case .query:
                outcome = try await runner.runQuery(
                    function, arguments: arguments, caller: caller, clientAddress: clientAddress, format: call.format,
                    requestID: requestID
                ).outcome
            case .mutation:
                outcome = try await runner.runMutation(
                    function, arguments: arguments, caller: caller, clientAddress: clientAddress, format: call.format,
                    requestID: requestID)
            case .action:
                outcome = try await runner.runAction(
                    function, arguments: arguments, caller: caller, clientAddress: clientAddress, format: call.format,
                    requestID: requestID)
            }
        } catch let failure as FunctionFailure {
            outcome = .failure(failure)
        } catch let unavailable as FunctionRunner.Unavailable {
            throw RequestFailure(unavailable)
        }
        return Response(json: Self.body(of: outcome))
    }

    /// Several queries, all answered from one snapshot.
    private func callBatch(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try request.checkClientName()
        guard let bodies = try await request.json()["queries"]?.arrayValue else {
            throw RequestFailure.badJSON("The body needs an array `queries`.")
        }
        guard bodies.count <= 100 else { throw RequestFailure.badJSON("At most 100 queries can be asked at once.") }
        let calls = try bodies.map { try FunctionCall($0, defaultFormat: request.standardFormat) }
        let caller = try await callers.caller(of: request, context)
        let outcomes: [Result<[UInt8], FunctionFailure>]
        do {
            outcomes = try await runner.runQueries(
                calls.map { (path: $0.path, arguments: $0.arguments, format: $0.format) }, caller: caller,
                clientAddress: callers.clientAddress(of: request, context))
        } catch let unavailable as FunctionRunner.Unavailable {
            throw RequestFailure(unavailable)
        } catch let error as PostgresError {
            throw RequestFailure(FunctionRunner.Unavailable(reason: error))
        }
        return Response(
            json: JSONWriter.bytes { writer in
                writer.beginObject()
                writer.key("results")
                writer.beginArray()
                for outcome in outcomes { writer.raw(Self.body(of: outcome)) }
                writer.endArray()
                writer.endObject()
            })
    }

    /// Both outcomes of a function that was reached (convex-protocol.md 1.3).
    static func body(of outcome: Result<[UInt8], FunctionFailure>) -> [UInt8] {
        switch outcome {
        case .success(let value):
            return JSONWriter.bytes(capacity: value.count + 64) { writer in
                writer.beginObject()
                writer.key("status")
                writer.string("success")
                writer.key("value")
                writer.raw(value)
                writer.key("logLines")
                writer.beginArray()
                writer.endArray()
                writer.endObject()
            }
        case .failure(let failure):
            return JSONWriter.bytes { writer in
                writer.beginObject()
                writer.key("status")
                writer.string("error")
                writer.key("errorMessage")
                writer.string(failure.message)
                writer.key("errorData")
                writer.raw(failure.errorData)
                writer.key("logLines")
                writer.beginArray()
                writer.endArray()
                writer.endObject()
            }
        }
    }
}

extension Request {
    /// Stock clients say which format they want. Who does not is a person, or a client that knows Convex's plain one.
    fileprivate var standardFormat: JSONWriter.ValueFormat { .plain }

    /// The client's own id for the request, if it has a sensible one.
    var functionRequestID: Registry.RequestID {
        guard let given = headers[.convexRequestID], (1...64).contains(given.count),
            given.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
        else { return .random() }
        return Registry.RequestID(given)
    }
}
