import Hummingbird
import Live
import Postgres
import Registry
import Wire

/// Several queries of one moment, over HTTP: `query_ts` gives a timestamp, `query_at_ts` reads at it.
struct ConsistentReadRoutes: Sendable {
    let runner: FunctionRunner
    let callers: CallerResolver
    let snapshots: HeldSnapshots
    let database: PostgresClient

    func add(to router: Router<APIRequestContext>) {
        router.post("api/query_ts") { request, _ in try await timestamp(request) }
        router.post("api/query_at_ts") { try await read($0, $1) }
    }

    /// No body is needed: JavaScript sends an empty one, which is no JSON.
    private func timestamp(_ request: Request) async throws -> Response {
        do {
            let position = try await snapshots.hold()
            return Response(
                json: JSONWriter.bytes { writer in
                    writer.beginObject()
                    writer.key("ts")
                    writer.base64(littleEndian: position.rawValue)
                    writer.endObject()
                })
        } catch let error as PostgresError {
            throw RequestFailure(FunctionRunner.Unavailable(reason: error))
        }
    }

    /// `{path, args, ts, format?}`.
    private func read(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try request.checkClientName()
        let body = try await request.json()
        let call = try FunctionCall(body, defaultFormat: .plain)
        guard let text = body["ts"]?.stringValue, let bits = Base64.decode(littleEndian: text) else {
            throw RequestFailure.badJSON("The body needs a timestamp `ts`.")
        }
        let caller = try await callers.caller(of: request, context)
        let clientAddress = callers.clientAddress(of: request, context)
        do {
            let outcome = try await snapshots.read(at: .init(bits), in: database) { snapshot in
                try await runner.runQuery(
                    call.path, call.arguments, caller: caller, clientAddress: clientAddress, snapshot: snapshot, format: call.format)
            }
            return Response(json: FunctionRoutes.body(of: outcome))
        } catch is HeldSnapshots.Expired {
            throw RequestFailure(.serviceUnavailable, "OutOfRetention", "This timestamp is too old to be read at. Ask for a new one.")
        } catch let unavailable as FunctionRunner.Unavailable {
            throw RequestFailure(unavailable)
        } catch let error as PostgresError {
            throw RequestFailure(FunctionRunner.Unavailable(reason: error))
        }
    }
}
