import Crypto

/// A file of the web pages, as a browser gets it.
public struct SiteFile: Sendable {
    public let contentType: String
    public let bytes: [UInt8]
    /// For the header ETag, quotes included: another one when the bytes are others.
    public let entityTag: String

    public init(contentType: String, bytes: [UInt8]) {
        self.contentType = contentType
        self.bytes = bytes
        let digest = SHA256.hash(data: bytes).prefix(12)
        entityTag = "\"" + digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "\""
    }
}

/// The files of the web pages, which are built in.
public enum SiteFiles {
    /// By their paths below `Sources/Pages/site`.
    public static let all: [String: SiteFile] = embeddedPages.reduce(into: [:]) { files, entry in
        let (path, text) = entry
        guard let type = contentTypes[String(path.split(separator: ".").last ?? "")] else {
            fatalError("\(path): add this kind of file to `contentTypes`")
        }
        files[path] = SiteFile(contentType: type, bytes: Array(text.utf8))
    }

    private static let contentTypes = [
        "html": "text/html; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    ]
}
