import Accounts
import HTTPTypes
import Hummingbird
import Live
import Postgres
import Status
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
        router.get("version") { _, _ in Response(text: "attune-\(attuneVersion)") }
        router.get("instance_version") { _, _ in Response(text: "attune-\(attuneVersion)") }
        router.get("instance_name") { _, _ in Response(text: "attune") }
        router.post("api/debug_event") { _, _ in Response(status: .ok) }
        StatusPages(metrics: metrics) { await report() }.add(to: router)
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
    private func report() async -> ReadinessReport {
        let status = await live.status
        let databaseAnswers = (try? await database.read(Self.probe())) != nil
        return ReadinessReport(isReady: databaseAnswers && !readiness.isDraining) { writer in
            writer.field("database")
            writer.bool(databaseAnswers)
            writer.field("feed")
            writer.string(status.feed)
            writer.field("draining")
            writer.bool(readiness.isDraining)
            writer.field("sockets")
            writer.integer(status.sockets)
            writer.field("liveQueries")
            writer.integer(status.queries)
            writer.field("events")
            if let events { events.writeState(to: &writer) } else { writer.null() }
        }
    }

    private static let probe = Statement("health.probe", "SELECT 1")
}
