import Wire

extension JSON {
    /// An object, its members as written.
    static func record(_ members: KeyValuePairs<String, JSON>) -> JSON {
        .object(members.map { Member(key: $0.key, value: $0.value) })
    }

    /// The same value, whatever the order of members.
    func isSame(as other: JSON) -> Bool {
        switch (self, other) {
        case (.object(let left), .object(let right)):
            left.count == right.count && left.allSatisfy { member in other[member.key].map { member.value.isSame(as: $0) } ?? false }
        case (.array(let left), .array(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.isSame(as: $1) }
        default: self == other
        }
    }

    /// As the JavaScript client writes it: whole numbers without a point.
    var text: String { String(decoding: JSONWriter.bytes { write(to: &$0) }, as: UTF8.self) }

    private func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .number(let value):
            if let whole = Int64(exactly: value) { writer.integer(whole) } else { writer.float64(value) }
        case .string(let value): writer.string(value)
        case .brokenString: writer.null()
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
