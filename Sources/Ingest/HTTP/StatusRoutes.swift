import Delivery
import HTTPTypes
import Hummingbird
import NIOCore
import Telemetry
import Wire

/// What is asked of the daemon itself. Whoever can reach the port may ask; no event is shown.
struct StatusRoutes: Sendable {
    let health: IngestHealth
    let metrics: PrometheusRegistry

    func add(to router: Router<BasicRequestContext>) {
        router.get("health/live") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: "live\n")))
        }
        router.get("health/ready") { _, _ in ready() }
        router.get("metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: PrometheusRegistry.contentType],
                body: .init(byteBuffer: ByteBuffer(bytes: metrics.render())))
        }
    }

    /// 200 while events are taken, also when PostgreSQL is away: then they wait on the disk.
    private func ready() -> Response {
        let isReady = health.isReady
        return Response(
            status: isReady ? .ok : .serviceUnavailable,
            json: JSONWriter.bytes { writer in
                writer.beginObject()
                writer.field("ready")
                writer.bool(isReady)
                writer.field("draining")
                writer.bool(health.isDraining)
                writer.field("database")
                writeDatabase(to: &writer)
                writer.field("spool")
                writer.beginObject()
                writer.field("bytes")
                writer.integer(health.spool.spool.bytesOnDisk)
                writer.field("budget")
                writer.integer(health.spool.spool.budget)
                writer.endObject()
                writer.field("lagMilliseconds")
                writer.integer(Int(health.delivery.lag / .milliseconds(1)))
                writer.field("ledger")
                health.spool.ledger.snapshot().write(to: &writer)
                writer.endObject()
            })
    }

    private func writeDatabase(to writer: inout JSONWriter) {
        let problem = health.databaseProblem
        writer.beginObject()
        writer.field("storing")
        writer.bool(problem == nil)
        if let problem {
            writer.field("problem")
            writer.string(problem)
        }
        writer.endObject()
    }
}
