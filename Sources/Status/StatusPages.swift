// Status is what every daemon says of itself over HTTP.
import HTTPTypes
import Hummingbird
import NIOCore
import Telemetry
import Wire

/// The pages that every daemon has: `/health/live`, `/health/ready` and `/metrics`. Whoever can reach its port may ask.
public struct StatusPages: Sendable {
    private let metrics: PrometheusRegistry
    private let readiness: @Sendable () async -> ReadinessReport

    /// - Parameter readiness: asked for each `GET /health/ready`.
    public init(metrics: PrometheusRegistry, readiness: @escaping @Sendable () async -> ReadinessReport) {
        self.metrics = metrics
        self.readiness = readiness
    }

    /// The pages' routes, for any daemon's router.
    public func add(to router: Router<some RequestContext>) {
        router.get("health/live") { _, _ in Self.response("text/plain; charset=utf-8", Array("live\n".utf8)) }
        router.get("health/ready") { [readiness] _, _ in
            let report = await readiness()
            return Self.response("application/json", report.json, status: report.isReady ? .ok : .serviceUnavailable)
        }
        router.get("metrics") { [metrics] _, _ in Self.response(PrometheusRegistry.contentType, metrics.render()) }
    }

    private static func response(_ contentType: String, _ body: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(status: status, headers: [.contentType: contentType], body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}

/// What a daemon says at `/health/ready`: status 200 while it does its work, otherwise 503, and how it is in JSON.
public struct ReadinessReport: Sendable {
    public let isReady: Bool
    let json: [UInt8]

    /// - Parameter writeFields: writes the fields that follow `ready`.
    public init(isReady: Bool, writeFields: (inout JSONWriter) -> Void) {
        self.isReady = isReady
        json = JSONWriter.bytes { writer in
            writer.beginObject()
            writer.field("ready")
            writer.bool(isReady)
            writeFields(&writer)
            writer.endObject()
        }
    }
}
