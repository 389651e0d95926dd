import Wire

/// Puts together the text of an event's context.
///
/// Members are given as JSON text without the braces: `"a":1,"b":2`.
enum EventContext {
    /// - Parameters:
    ///   - notes: members of ours. They stand first, where no cut reaches them.
    ///   - given: the context as reported. An object's text takes the members in; other text becomes the member `context`, unless
    ///     there is no other.
    ///   - others: members that the report had elsewhere.
    static func text(notes: [UInt8] = [], given: String?, others: [UInt8] = []) -> String? {
        if notes.isEmpty, others.isEmpty { return given }
        var writer = JSONWriter(capacity: notes.count + others.count + (given?.utf8.count ?? 0) + 32)
        writer.beginObject()
        if !notes.isEmpty { writer.raw(notes) }
        if let given {
            if let members = members(of: given) {
                if !members.isEmpty { writer.raw(members) }
            } else {
                writer.field("context")
                writer.string(given)
            }
        }
        if !others.isEmpty { writer.raw(others) }
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// The members of an object, without blanks; nil if the text is anything else.
    private static func members(of text: String) -> [UInt8]? {
        guard text.utf8.first == UInt8(ascii: "{") else { return nil }
        var text = text
        return text.withUTF8 { text in
            var scanner = JSONScanner(UnsafeRawBufferPointer(text))
            guard let object = try? scanner.takeValue(), object.end == text.count else { return nil }
            var members: [UInt8] = []
            scanner.copy(object, to: &members)
            members.removeFirst()
            members.removeLast()
            return members
        }
    }
}
