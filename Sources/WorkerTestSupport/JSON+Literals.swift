import Wire

// JSON as tests write it down.

extension JSON: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .number(Double(value)) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(elements.map { Member(key: $0.0, value: $0.1) })
    }

    public subscript(_ index: Int) -> JSON? {
        guard let elements = arrayValue, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    public var numberValue: Double? { if case .number(let value) = self { value } else { nil } }

    /// The names of an object's members, in their order.
    public var keys: [String] { if case .object(let members) = self { members.map(\.key) } else { [] } }

    /// An object with one member more, or another value for it.
    public func setting(_ key: String, to value: JSON) -> JSON {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { $0.key != key } + [Member(key: key, value: value)])
    }

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
