#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
import Domain

/// How long the parts of an event may be, in bytes of UTF-8.
public enum EventLimits {
    /// A report as it comes in.
    public static let report = 64 * 1024
    public static let source = 256
    public static let id = 256
    public static let type = 128
    public static let details = 4 * 1024
    public static let context = 32 * 1024
}

extension ReportedEvent {
    /// Makes the event one that PostgreSQL takes: details and context that are too long are cut and end in `…`, NUL
    /// characters become U+FFFD. Changes nothing a second time.
    ///
    /// - Throws: if the source, the id or the type is too long, or the type is empty: they cannot be cut, because they name
    ///   things. Also if the source is that of raised events.
    public mutating func fit() throws(EventRejection) {
        source.replaceNULs()
        id?.replaceNULs()
        type.replaceNULs()
        details.replaceNULs()
        context?.replaceNULs()
        guard !type.isEmpty else { throw EventRejection("type is missing") }
        guard type.utf8.count <= EventLimits.type else { throw .tooLong("type", EventLimits.type) }
        guard source.utf8.count <= EventLimits.source else { throw .tooLong("source", EventLimits.source) }
        guard source != Self.detectionSource else { throw EventRejection("the source \(source) is for events that rules raise") }
        if let id, id.utf8.count > EventLimits.id { throw .tooLong("id", EventLimits.id) }
        details.cut(to: EventLimits.details)
        context?.cut(to: EventLimits.context)
    }
}

extension EventRejection {
    static func tooLong(_ name: String, _ limit: Int) -> EventRejection { EventRejection("\(name) is longer than \(limit) bytes") }
}

extension String {
    fileprivate mutating func replaceNULs() {
        guard withUTF8({ !$0.isEmpty && memchr($0.baseAddress!, 0, $0.count) != nil }) else { return }
        self = String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
    }

    /// Cuts the text before a character, so that with the `…` it then ends in it has at most so many bytes of UTF-8.
    mutating func cut(to limit: Int) {
        guard utf8.count > limit else { return }
        let mark = "…"
        var end = utf8.index(utf8.startIndex, offsetBy: limit - mark.utf8.count)
        // A character's bytes after its first begin with the bits 10.
        while utf8[end] & 0b1100_0000 == 0b1000_0000 { end = utf8.index(before: end) }
        self = self[..<end] + mark
    }
}
