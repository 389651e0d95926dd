extension JSON {
    /// As the JavaScript client writes it: whole numbers without a point.
    public var text: String {
        String(decoding: JSONWriter.bytes { write(to: &$0) }, as: UTF8.self)
    }

    private func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .number(let value):
            if let whole = Int64(exactly: value) { writer.integer(whole) } else { writer.float64(value) }
        case .string(let value): writer.string(value)
        case .brokenString: writer.raw(#""\ud800""#.utf8)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer) }
            writer.endArray()
        case .object(let members):
            writer.beginObject()
            for member in members {
                writer.key(member.key)
                member.value.write(to: &writer)
            }
            writer.endObject()
        }
    }
}
