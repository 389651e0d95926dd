/// A value of Convex's data model (convex-protocol.md 2): what functions take and return.
public enum ConvexValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case int64(Int64)
    case float64(Double)
    case string(String)
    case bytes([UInt8])
    case array([ConvexValue])
    /// Fields in the order of their names, each name once.
    case object([Field])

    public struct Field: Equatable, Sendable {
        public var name: String
        public var value: ConvexValue

        public init(name: String, value: ConvexValue) {
            self.name = name
            self.value = value
        }
    }

    public subscript(_ name: String) -> ConvexValue? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.name == name }?.value
    }

    /// The real service's limits.
    public static let maximumArrayElements = 8192
    public static let maximumFields = 1024
    public static let maximumNesting = 64
}

/// Why a JSON value is no Convex value.
public struct ConvexValueError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
}

extension ConvexValue {
    /// Decodes Convex's JSON encoding, with its `$integer`, `$float` and `$bytes`.
    public init(decoding json: JSON) throws(ConvexValueError) {
        try self.init(decoding: json, nestingLeft: Self.maximumNesting)
    }

    private init(decoding json: JSON, nestingLeft: Int) throws(ConvexValueError) {
        guard nestingLeft > 0 else {
            throw ConvexValueError(description: "Value is too deeply nested (maximum nesting \(Self.maximumNesting))")
        }
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .number(let value): self = .float64(value)
        case .string(let value): self = .string(value)
        case .brokenString: throw ConvexValueError(description: "String is not valid Unicode: it has a lone surrogate")
        case .array(let elements):
            guard elements.count <= Self.maximumArrayElements else {
                throw ConvexValueError(
                    description: "Array length is too long (\(elements.count) > maximum length \(Self.maximumArrayElements))")
            }
            var values: [ConvexValue] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try ConvexValue(decoding: element, nestingLeft: nestingLeft - 1)) }
            self = .array(values)
        case .object(let members):
            if members.count == 1, members[0].key.utf8.first == UInt8(ascii: "$") {
                self = try Self.special(members[0])
            } else {
                self = .object(try Self.fields(members, nestingLeft: nestingLeft - 1))
            }
        }
    }

    private static func special(_ member: JSON.Member) throws(ConvexValueError) -> ConvexValue {
        func malformed() -> ConvexValueError { ConvexValueError(description: "Malformed \(member.key) value") }
        switch member.key {
        case "$integer":
            guard let text = member.value.stringValue, let bits = Base64.decode(littleEndian: text) else { throw malformed() }
            return .int64(Int64(bitPattern: bits))
        case "$float":
            guard let text = member.value.stringValue, let bits = Base64.decode(littleEndian: text) else { throw malformed() }
            let value = Double(bitPattern: bits)
            guard !value.isFinite || (value == 0 && value.sign == .minus) else {
                throw ConvexValueError(description: "Float \(value) should be encoded as a number")
            }
            return .float64(value)
        case "$bytes":
            guard let text = member.value.stringValue, let bytes = Base64.decode(text) else { throw malformed() }
            return .bytes(bytes)
        default:
            throw ConvexValueError(description: "Field \"\(member.key)\" starts with a '$', which is reserved")
        }
    }

    private static func fields(_ members: [JSON.Member], nestingLeft: Int) throws(ConvexValueError) -> [Field] {
        guard members.count <= maximumFields else {
            throw ConvexValueError(description: "Object has too many fields (\(members.count) > maximum number \(maximumFields))")
        }
        var fields: [Field] = []
        fields.reserveCapacity(members.count)
        for member in members {
            try checkFieldName(member.key)
            fields.append(Field(name: member.key, value: try ConvexValue(decoding: member.value, nestingLeft: nestingLeft)))
        }
        // Stable, so that of several fields with one name the last stands last, which is the one that counts.
        fields.sort { $0.name < $1.name }
        var distinct: [Field] = []
        distinct.reserveCapacity(fields.count)
        for field in fields {
            if distinct.last?.name == field.name { distinct.removeLast() }
            distinct.append(field)
        }
        return distinct
    }

    private static func checkFieldName(_ name: String) throws(ConvexValueError) {
        guard name.utf8.count <= 1024 else { throw ConvexValueError(description: "Field name is longer than 1024 characters") }
        guard name.utf8.first != UInt8(ascii: "$") else {
            throw ConvexValueError(description: "Field \"\(name)\" starts with a '$', which is reserved")
        }
        guard name.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            throw ConvexValueError(description: "Field name has characters other than printable ASCII")
        }
    }

    /// Appends the value's JSON encoding.
    public func encode(into writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .int64(let value): writer.int64(value)
        case .float64(let value): writer.float64(value)
        case .string(let value): writer.string(value)
        case .bytes(let value): writer.byteString(value)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.encode(into: &writer) }
            writer.endArray()
        case .object(let fields):
            writer.beginObject()
            for field in fields {
                writer.key(field.name)
                field.value.encode(into: &writer)
            }
            writer.endObject()
        }
    }
}
