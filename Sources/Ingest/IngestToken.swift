import Domain
import Wire

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What senders prove themselves with: `Authorization: Bearer …`.
public struct IngestToken: Sendable {
    private let text: [UInt8]

    public init(_ text: String) {
        self.text = Array(text.utf8)
    }

    /// The token in the data folder's file `ingest-token`, which is made, for its owner alone, when it is missing. Every daemon
    /// that has this folder gets the same.
    ///
    /// - Throws: `TokenFileError`.
    public init(dataFolder: String) throws {
        let path = dataFolder + "/ingest-token"
        if access(path, F_OK) != 0 { try Self.make(path) }
        text = Array(try Self.read(path).trimmingBlanks().utf8)
        guard !text.isEmpty else { throw TokenFileError(path: path, reason: "it is empty") }
    }

    /// Takes the same time for every wrong token of one length.
    func matches(_ given: some Collection<UInt8>) -> Bool {
        guard given.count == text.count else { return false }
        return zip(given, text).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// The token itself, for the one place that needs it.
    public var revealed: String { String(decoding: text, as: UTF8.self) }

    // MARK: The file

    /// Complete under another name first: of two processes that do this at once, both read the same token afterwards.
    private static func make(_ path: String) throws {
        let draft = path + ".draft-" + UUIDBits.random().description
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw TokenFileError(path: draft) }
        defer {
            close(file)
            unlink(draft)
        }
        var generator = SystemRandomNumberGenerator()
        let secret = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let content = Base64.encodeURLSafe(secret) + [UInt8(ascii: "\n")]
        guard write(file, content, content.count) == content.count, fsync(file) == 0 else { throw TokenFileError(path: draft) }
        guard link(draft, path) == 0 || errno == EEXIST else { throw TokenFileError(path: path) }
    }

    private static func read(_ path: String) throws -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw TokenFileError(path: path) }
        defer { close(file) }
        var content = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(file, &content, content.count)
        guard count >= 0 else { throw TokenFileError(path: path) }
        return String(decoding: content[..<count], as: UTF8.self)
    }
}

extension IngestToken: CustomStringConvertible, CustomReflectable {
    public var description: String { "*****" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The token's file can be neither read nor made.
public struct TokenFileError: Error, CustomStringConvertible {
    let path: String
    let reason: String

    init(path: String, reason: String = String(cString: strerror(errno))) {
        self.path = path
        self.reason = reason
    }

    public var description: String { "cannot use \(path), which holds the token: \(reason)" }
}
