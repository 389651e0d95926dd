import Domain
import HTTPTypes
import Hummingbird
import NIOCore
import Wire

/// A request that nothing came of: `{code, message}` and a status, as the API says it.
struct RequestFailure: Error, HTTPResponseError {
    let status: HTTPResponse.Status
    let code: String
    /// One sentence for a person.
    let message: String
    /// When it is worth trying again.
    var retryAfter: Duration?
    /// Whether the connection ends with it, since the rest of the request is not wanted.
    var endsConnection = false

    init(_ status: HTTPResponse.Status, _ code: APIError.Code, _ message: String) {
        self.init(status, code.rawValue, message)
    }

    private init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    static func invalid(_ message: String) -> RequestFailure { RequestFailure(.badRequest, .validationError, message) }

    static func tooLarge(_ message: String) -> RequestFailure {
        var failure = RequestFailure(.contentTooLarge, .validationError, message)
        failure.endsConnection = true
        return failure
    }

    static func unsupported(_ message: String) -> RequestFailure {
        RequestFailure(.unsupportedMediaType, .validationError, message)
    }

    /// There is no room now. Nothing of the request was kept.
    static func full(_ message: String, retryAfter: Duration) -> RequestFailure {
        var failure = RequestFailure(.tooManyRequests, .rateLimited, message)
        failure.retryAfter = retryAfter
        return failure
    }

    /// This process takes nothing any more. Nothing of the request was kept.
    static func unavailable(_ message: String) -> RequestFailure {
        var failure = RequestFailure(.serviceUnavailable, "unavailable", message)
        failure.retryAfter = .seconds(1)
        failure.endsConnection = true
        return failure
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var response = Response(status: status, json: JSONWriter.bytes { writer in
            writer.beginObject()
            writer.field("code")
            writer.string(code)
            writer.field("message")
            writer.string(message)
            writer.endObject()
        })
        if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        if let retryAfter { response.headers[.retryAfter] = String(retryAfter.components.seconds) }
        if endsConnection { response.headers[.connection] = "close" }
        return response
    }
}

extension Response {
    init(status: HTTPResponse.Status = .ok, json: [UInt8]) {
        self.init(status: status, headers: [.contentType: "application/json"], body: .init(byteBuffer: ByteBuffer(bytes: json)))
    }
}
