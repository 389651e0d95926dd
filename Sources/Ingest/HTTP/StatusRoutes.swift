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
                status: .ok, headers: [.contentType: "text/plain; charset=utf-8"], body: .init(byteBuffer: ByteBuffer(string: "live\n")))
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
                writer.key("ready")
                writer.bool(isReady)
                writer.key("draining")
                writer.bool(health.isDraining)
                writer.key("database")
                writeDatabase(to: &writer)
                writer.key("spool")
                writer.beginObject()
                writer.key("bytes")
                writer.integer(health.spool.spool.bytesOnDisk)
                writer.key("budget")
                writer.integer(health.spool.spool.budget)
                writer.endObject()
                writer.key("lagMilliseconds")
                writer.integer(Int(health.delivery.lag / .milliseconds(1)))
                writer.key("ledger")
                write(health.spool.ledger.snapshot(), to: &writer)
                writer.endObject()
            })
    }

    private func writeDatabase(to writer: inout JSONWriter) {
        let problem = health.databaseProblem
        writer.beginObject()
        writer.key("storing")
        writer.bool(problem == nil)
        if let problem {
            writer.key("problem")
            writer.string(problem)
        }
        writer.endObject()
    }

    private func write(_ ledger: LedgerSnapshot, to writer: inout JSONWriter) {
        writer.beginObject()
        for line in ledger.lines { write(line.counts, as: line.input, to: &writer) }
        write(ledger.total, as: "total", to: &writer)
        writer.endObject()
    }

    private func write(_ counts: LedgerCounts, as name: String, to writer: inout JSONWriter) {
        writer.key(name)
        writer.beginObject()
        writer.key("received")
        writer.integer(counts.received)
        writer.key("stored")
        writer.integer(counts.stored)
        writer.key("duplicates")
        writer.integer(counts.duplicates)
        writer.key("deadLettered")
        writer.integer(counts.deadLettered)
        writer.key("spooled")
        writer.integer(counts.spooled)
        writer.endObject()
    }
}
