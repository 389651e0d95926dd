import Live
import NIOHTTP1

/// What a WebSocket handshake says of the client (convex-protocol.md 3.1).
struct SyncHandshake {
    let kind: ClientKind

    /// Nil: this is no address of the sync socket. `/api/1.45.0/sync` is JavaScript's, with the client's version; other clients
    /// take `/api/sync` and name themselves in a header. A doubled slash comes from an address that was given with one at the end.
    init?(_ head: HTTPRequestHead) {
        let path = head.uri.prefix { $0 != "?" }
        switch path.split(separator: "/").map(String.init) {
        case ["api", "sync"]:
            let isJavaScript = head.headers.first(name: "Convex-Client")?.hasPrefix("npm-") ?? false
            kind = ClientKind(knowsChunks: false, recoversFromAuthError: isJavaScript, comparesTimestamps: isJavaScript)
        case let parts where parts.count == 3 && parts[0] == "api" && parts[2] == "sync":
            guard let version = Self.version(parts[1]) else { return nil }
            kind = ClientKind(knowsChunks: version >= (1, 28, 0), recoversFromAuthError: true, comparesTimestamps: true)
        default:
            return nil
        }
    }

    /// The three numbers of a semantic version; what follows them (`-alpha.1`) does not matter here.
    private static func version(_ text: String) -> (Int, Int, Int)? {
        let numbers = text.prefix { $0 != "-" && $0 != "+" }.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 3, let major = Int(numbers[0]), let minor = Int(numbers[1]), let patch = Int(numbers[2]) else {
            return nil
        }
        return (major, minor, patch)
    }
}
