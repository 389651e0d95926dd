import Crypto
import Domain
import Wire

/// A call that came to nothing, as the caller is told.
public struct FunctionFailure: Error, Sendable {
    /// The whole error text: `[Request ID: …] Server Error` and, on the next line, what was wrong.
    public let message: String
    /// The ApiError, which clients find in `errorData`.
    public let error: APIError

    /// - Parameters:
    ///   - text: the second line; by default what Convex prints for an uncaught ConvexError.
    public init(_ error: APIError, requestID: RequestID, text: String? = nil) {
        self.error = error
        let second = text ?? "Uncaught ConvexError: \(String(decoding: error.json, as: UTF8.self))"
        message = "[Request ID: \(requestID)] Server Error\n\(second)"
    }

    /// A failure that is nobody's business but ours: the caller learns the request id, the log has the rest under it.
    public static func unexpected(requestID: RequestID) -> FunctionFailure {
        FunctionFailure(
            APIError(
                .internalError, "Something went wrong on our side. Quote the request id when you ask about it.",
                details: ["requestId": requestID.description]),
            requestID: requestID)
    }

    /// The ApiError as JSON.
    public var errorData: [UInt8] { error.json }

    /// Arguments that do not fit, with Convex's text and the offending field's path in `details`.
    static func arguments(_ failure: ValidationFailure, requestID: RequestID) -> FunctionFailure {
        FunctionFailure(
            APIError(.validationError, failure.summary, details: ["path": failure.fieldPath]), requestID: requestID,
            text: "ArgumentValidationError: \(failure.detail)")
    }
}

extension APIError {
    /// `{code, message, details?}`.
    public var json: [UInt8] {
        JSONWriter.bytes { writer in
            writer.beginObject()
            writer.key("code")
            writer.string(code.rawValue)
            if !details.isEmpty {
                writer.key("details")
                writer.beginObject()
                for (name, value) in details.sorted(by: { $0.key < $1.key }) {
                    writer.key(name)
                    writer.string(value)
                }
                writer.endObject()
            }
            if let paginationError {
                writer.key("isConvexSystemError")
                writer.bool(true)
                writer.key("paginationError")
                writer.string(paginationError)
            }
            writer.key("message")
            writer.string(message)
            writer.endObject()
        }
    }
}

/// What ties an error that a caller quotes to the log: 16 hexadecimal digits.
public struct RequestID: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }

    public static func random() -> RequestID {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return RequestID(String(repeating: "0", count: 16 - digits.count) + digits)
    }

    /// Of a socket's mutation or action: the same each time it is sent, as in the original (convex-protocol.md 1.5).
    public init(session: UUIDBits, request: UInt32) {
        let digest = SHA256.hash(data: Array("\(session)|\(request)".utf8))
        description = digest.prefix(8).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
