import Domain

/// A password as somebody typed it. It is never printed, logged or stored.
public struct Password: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let bytes: [UInt8]

    /// One that may be tried: anything up to 1024 bytes. Hashing more would only let strangers keep us busy.
    public init(attempt text: String, path: String) throws(APIError) {
        guard text.utf8.count <= 1024 else { throw .invalid(path, "Invalid password: it is longer than 1024 bytes.") }
        bytes = Array(text.utf8)
    }

    /// One that an account may have: at least 8 characters.
    public init(new text: String, path: String) throws(APIError) {
        try self.init(attempt: text, path: path)
        guard text.unicodeScalars.count >= 8 else {
            throw .invalid(path, "Invalid password: it needs at least 8 characters.")
        }
    }

    public var description: String { "********" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
