import Domain
import Wire

extension EventReader {
    /// Whether a request's headers say that its body is the data of one CloudEvent (the binary mode of CloudEvents over HTTP).
    ///
    /// - Parameter headers: by lower-case names.
    public static func isBinaryCloudEvent(headers: [String: String]) -> Bool { headers["ce-specversion"] != nil }

    /// Reads a CloudEvent in binary mode: its attributes are the headers `ce-…`, its data is the body.
    ///
    /// - Parameter headers: by lower-case names.
    public func readBinaryCloudEvent(
        headers: [String: String], body: ArraySlice<UInt8>, receivedAt: Instant
    ) throws(EventRejection) -> ReportedEvent {
        // The same event in structured mode.
        var writer = JSONWriter(capacity: body.count + 512)
        writer.beginObject()
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) where name.hasPrefix("ce-") && name != "ce-data" {
            writer.key(String(name.dropFirst(3)))
            writer.string(Self.percentDecoded(value))
        }
        if !body.isEmpty {
            writer.field("data")
            if Self.isJSON(contentType: headers["content-type"]) {
                // A value by itself: it is to become a part of another.
                try JSONScanner.check(body)
                writer.raw(body)
            } else {
                writer.string(String(decoding: body, as: UTF8.self))
            }
        }
        writer.endObject()
        return try read(writer.bytes, receivedAt: receivedAt)
    }

    /// CloudEvents take data to be JSON if nothing else is said.
    private static func isJSON(contentType: String?) -> Bool {
        guard let contentType else { return true }
        let mediaType = contentType.prefix { $0 != ";" && $0 != " " }.lowercased()
        return mediaType == "application/json" || mediaType == "text/json" || mediaType.hasSuffix("+json")
    }

    /// Headers of CloudEvents have `%20` and the like for what does not fit into a header.
    private static func percentDecoded(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        var decoded: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, rest.prefix(2).allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                decoded.append(value)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}
