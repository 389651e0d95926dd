import HTTPTypes
import Hummingbird
import NIOCore

/// Receives bodies, within what one request and all together may take.
struct IncomingBodies: Sendable {
    let limits: RequestLimits
    /// Of all requests.
    let budget: ByteBudget

    /// Reads the request's body, inflates it if it is compressed, and lends it to `use`.
    ///
    /// - Throws: a `RequestFailure`, or what the connection or `use` throws.
    func withBody<Value>(of request: Request, _ use: (consuming [UInt8]) async throws -> Value) async throws -> Value {
        let encoding = request.headers[.contentEncoding]?.lowercased() ?? "identity"
        guard ["identity", "gzip", "x-gzip"].contains(encoding) else {
            throw RequestFailure.unsupported("Send the body as it is, or compressed with gzip (Content-Encoding).")
        }
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limits.body { throw tooLarge }
        var taken = 0
        defer { budget.give(taken) }
        var body: [UInt8] = []
        for try await piece in request.body {
            guard body.count + piece.readableBytes <= limits.body else { throw tooLarge }
            try take(piece.readableBytes, &taken)
            body += piece.readableBytesView
        }
        if encoding != "identity" { body = try inflate(body, &taken) }
        return try await use(body)
    }

    private func inflate(_ compressed: [UInt8], _ taken: inout Int) throws(RequestFailure) -> [UInt8] {
        var more = 0
        defer { taken += more }
        do {
            return try Gzip.inflate(compressed, upTo: limits.inflatedBody) { count in
                guard budget.take(count) else { return false }
                more += count
                return true
            }
        } catch {
            switch error {
            case .damaged: throw .invalid("The body is not what gzip makes, or its end is missing.")
            case .tooLarge: throw .tooLarge("The inflated body may have \(limits.inflatedBody >> 20) MiB at most.")
            case .noRoom: throw noRoom
            }
        }
    }

    private func take(_ count: Int, _ taken: inout Int) throws(RequestFailure) {
        guard budget.take(count) else { throw noRoom }
        taken += count
    }

    private var tooLarge: RequestFailure { .tooLarge("The body may have \(limits.body >> 20) MiB at most.") }

    private var noRoom: RequestFailure {
        var failure = RequestFailure.full("Too many events are being received at the moment.", retryAfter: .seconds(1))
        failure.endsConnection = true
        return failure
    }
}
