import HTTPTypes
import Hummingbird
import NIOCore
import Wire

/// The body of a call over HTTP: `{path, args, format?}` (convex-protocol.md 1.2). Unknown fields are ignored.
struct FunctionCall {
    let path: String
    let arguments: JSON
    let format: JSONWriter.ValueFormat

    /// - Parameters:
    ///   - body: the JSON of one call.
    ///   - path: the function, where the address names it and not the body.
    init(_ body: JSON, path: String? = nil, defaultFormat: JSONWriter.ValueFormat) throws(RequestFailure) {
        guard case .object = body else { throw .badJSON("The body has to be a JSON object.") }
        guard let path = path ?? body["path"]?.stringValue else { throw .badJSON("The body needs a string `path`.") }
        guard let arguments = body["args"] else { throw .badJSON("The body needs `args`.") }
        self.path = path
        self.arguments = arguments
        format = try Self.format(body["format"], default: defaultFormat)
    }

    /// Read before the function runs, so that a call with a bad format changes nothing.
    static func format(_ json: JSON?, default: JSONWriter.ValueFormat) throws(RequestFailure) -> JSONWriter.ValueFormat {
        guard let json, json != .null else { return `default` }
        switch json.stringValue {
        case "convex_encoded_json", "convex_json": return .convexEncoded
        case "json", "convex_clean_json", "export_json": return .plain
        default: throw RequestFailure(.badRequest, "BadFormat", "`format` has to be `convex_encoded_json` or `json`.")
        }
    }
}

extension Request {
    /// The longest body. The largest sensible call, marking a thousand messages as read, has 35 kB.
    static var maximumBodyBytes: Int { 1 << 20 }

    /// The body as JSON.
    func json() async throws -> JSON {
        let mediaType = headers[.contentType]?.split(separator: ";").first?.lowercased() ?? ""
        guard mediaType == "application/json" || (mediaType.hasPrefix("application/") && mediaType.hasSuffix("+json")) else {
            throw RequestFailure.badJSON("The Content-Type has to be application/json.")
        }
        let buffer = try await collectedBody()
        do {
            return try JSON(parsing: buffer.readableBytesView)
        } catch {
            throw RequestFailure.badJSON("The body is not valid JSON: \(error).")
        }
    }

    /// The whole body. What is too long is read to its end all the same, up to a bound: a client that is still sending does not
    /// look for an answer, and a connection that nobody reads from stays until its time is up.
    private func collectedBody() async throws -> ByteBuffer {
        var buffer = ByteBuffer()
        var size = 0
        for try await part in body {
            size += part.readableBytes
            if size > Self.maximumBodyBytes {
                buffer = ByteBuffer()
                guard size <= Self.maximumDiscardedBytes else { break }
            } else if buffer.readableBytes == 0 {
                buffer = part
            } else {
                buffer.writeImmutableBuffer(part)
            }
        }
        guard size <= Self.maximumBodyBytes else {
            throw RequestFailure(.contentTooLarge, "RequestTooLarge", "The body has more than \(Self.maximumBodyBytes) bytes.")
        }
        return buffer
    }

    private static var maximumDiscardedBytes: Int { 64 << 20 }

    /// What stock clients name themselves: `npm-1.45.0`. Without a dash it is none.
    func checkClientName() throws(RequestFailure) {
        guard let name = headers[.convexClient] else { return }
        guard name.contains("-") else {
            throw RequestFailure(.badRequest, "InvalidClientVersion", "Convex-Client has to be a name, a dash, and a version.")
        }
    }
}

extension HTTPField.Name {
    static let convexClient = HTTPField.Name("Convex-Client")!
    static let convexRequestID = HTTPField.Name("Convex-Request-Id")!
    static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
}
