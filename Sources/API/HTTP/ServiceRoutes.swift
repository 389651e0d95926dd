import Accounts
import HTTPTypes
import Hummingbird
import Live
import NIOCore
import Postgres
import Telemetry
import Wire

/// What is asked of the worker itself: who it is, how it is, and the keys of its tokens.
struct ServiceRoutes: Sendable {
    let accounts: Accounts
    let live: LiveQueries
    let database: PostgresClient
    /// Nil: the worker reports no security events.
    let events: EventPath?
    let metrics: PrometheusRegistry
    let readiness: Readiness

    func add(to router: Router<APIRequestContext>) {
        router.get("/") { _, _ in Response(text: "This is an Attune API worker. Point a Convex client at this address.\n") }
        router.get("version") { _, _ in Response(text: "attune-\(attuneVersion)") }
        router.get("instance_version") { _, _ in Response(text: "attune-\(attuneVersion)") }
        router.get("instance_name") { _, _ in Response(text: "attune") }
        router.post("api/debug_event") { _, _ in Response(status: .ok) }
        router.get("health/live") { _, _ in Response(text: "live\n") }
        router.get("health/ready") { _, _ in try await ready() }
        router.get("metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: PrometheusRegistry.contentType],
                body: .init(byteBuffer: ByteBuffer(bytes: metrics.render())))
        }
        router.get(".well-known/openid-configuration") { _, _ in document(accounts.discoveryDocument) }
        router.get(".well-known/jwks.json") { _, _ in document(accounts.keys.keySetDocument) }
    }

    /// Keys and discovery change with a rotation; the original's cache time.
    private func document(_ json: [UInt8]) -> Response {
        var response = Response(json: json)
        response.headers[.cacheControl] = "public, max-age=15"
        response.headers[.accessControlAllowOrigin] = "*"
        return response
    }

    /// 200 while requests and live queries are answered. The body says how changes are heard of: `connected` (each commit),
    /// `polling` (a snapshot now and then) or `connecting` (for a moment not at all); and what became of the security events of this
    /// worker (null: it has no spool, and reports none).
    private func ready() async throws -> Response {
        let status = await live.status
        let databaseAnswers = (try? await database.read(Self.probe())) != nil
        let isReady = databaseAnswers && !readiness.isDraining
        return Response(
            status: isReady ? .ok : .serviceUnavailable,
            json: JSONWriter.bytes { writer in
                writer.beginObject()
                writer.key("ready")
                writer.bool(isReady)
                writer.key("database")
                writer.bool(databaseAnswers)
                writer.key("feed")
                writer.string(status.feed)
                writer.key("draining")
                writer.bool(readiness.isDraining)
                writer.key("sockets")
                writer.integer(status.sockets)
                writer.key("liveQueries")
                writer.integer(status.queries)
                writer.key("events")
                if let events { events.writeState(to: &writer) } else { writer.null() }
                writer.endObject()
            })
    }

    private static let probe = Statement("health.probe", "SELECT 1")
}

/// The version of this program, shown to whoever asks.
public let attuneVersion = "0.1.0"
