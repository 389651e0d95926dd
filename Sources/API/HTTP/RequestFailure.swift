import Accounts
import HTTPTypes
import Hummingbird
import NIOCore
import Registry
import Wire

/// A request that did not come to a function's outcome: `{code, message}` and a status (convex-protocol.md 1.4).
struct RequestFailure: Error, HTTPResponseError {
    let status: HTTPResponse.Status
    /// Convex's short name.
    let code: String
    /// One sentence for a person.
    let message: String

    init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    static func badJSON(_ message: String) -> RequestFailure { RequestFailure(.badRequest, "BadJsonBody", message) }

    init(_ failure: AuthenticationFailure) {
        self.init(.unauthorized, failure.code.rawValue, failure.message)
    }

    /// The database could not be asked, or did not say what came of it.
    init(_ unavailable: FunctionRunner.Unavailable) {
        if unavailable.hadNoEffect {
            self.init(.serviceUnavailable, "ServiceUnavailable", "The database cannot be reached at the moment. Nothing was changed; try again.")
        } else {
            self.init(
                .serviceUnavailable, "OutcomeUnknown",
                "The connection to the database broke before it had answered. The call may or may not have taken effect.")
        }
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        Response(status: status, json: JSONWriter.bytes { writer in
            writer.beginObject()
            writer.key("code")
            writer.string(code)
            writer.key("message")
            writer.string(message)
            writer.endObject()
        })
    }
}

extension Response {
    init(status: HTTPResponse.Status = .ok, json: [UInt8]) {
        self.init(status: status, headers: [.contentType: "application/json"], body: .init(byteBuffer: ByteBuffer(bytes: json)))
    }

    init(status: HTTPResponse.Status = .ok, text: String) {
        self.init(status: status, headers: [.contentType: "text/plain; charset=utf-8"], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
