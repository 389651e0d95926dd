import Domain
import Wire

/// The shape of a value, as Convex's `v` describes it: checks arguments, and is what documents and types are made from.
public indirect enum Validator: Equatable, Sendable {
    case any
    case null
    case boolean
    case number
    case string
    case id(table: String)
    case literal(String)
    case array(Validator)
    case object([Field])
    case union([Validator])

    public struct Field: Equatable, Sendable {
        public var name: String
        public var validator: Validator
        /// May be absent; never null.
        public var isOptional: Bool

        public init(_ name: String, _ validator: Validator, isOptional: Bool = false) {
            self.name = name
            self.validator = validator
            self.isOptional = isOptional
        }
    }
}

extension Validator: CustomStringConvertible {
    /// As it would be written in TypeScript: `v.object({content: v.string()})`.
    public var description: String {
        switch self {
        case .any: "v.any()"
        case .null: "v.null()"
        case .boolean: "v.boolean()"
        case .number: "v.float64()"
        case .string: "v.string()"
        case .id(let table): "v.id(\"\(table)\")"
        case .literal(let value): "v.literal(\"\(value)\")"
        case .array(let element): "v.array(\(element))"
        case .object(let fields):
            "v.object({" + fields.map { "\($0.name): \($0.isOptional ? "v.optional(\($0.validator))" : "\($0.validator)")" }
                .joined(separator: ", ") + "})"
        case .union(let members): "v.union(" + members.map(\.description).joined(separator: ", ") + ")"
        }
    }
}

/// A value that does not fit its validator, and where: convex-protocol.md 1.5, `crates/udf/src/validation.rs` of Convex.
public struct ValidationFailure: Error, Sendable {
    public enum Reason: Sendable {
        case missingField(String)
        case extraField(String)
        case mismatch
        case wrongTable(id: String, table: String)
        case notLiteral
        /// Fits the type but not a rule of ours; the sentence says which.
        case rule(String)
    }

    public let reason: Reason
    /// From the arguments to the value: `.messageIds[3]`; empty at the top.
    public let path: String
    public let value: ConvexValue
    public let validator: Validator

    /// For a value that fits its type but not a rule; `sentence` is for people.
    public static func rule(_ sentence: String, at path: String, value: ConvexValue, validator: Validator) -> ValidationFailure {
        ValidationFailure(reason: .rule(sentence), path: path, value: value, validator: validator)
    }

    public static func mismatch(at path: String, value: ConvexValue, validator: Validator) -> ValidationFailure {
        ValidationFailure(reason: .mismatch, path: path, value: value, validator: validator)
    }

    /// One sentence.
    public var summary: String {
        switch reason {
        case .missingField(let field): "Object is missing the required field `\(field)`."
        case .extraField(let field): "Object contains extra field `\(field)` that is not in the validator."
        case .mismatch: "Value does not match validator."
        case .wrongTable(let id, let table): "Found ID \"\(id)\" from table `\(table)`, which does not match the table name in validator."
        case .notLiteral: "`\(shown(value))` does not match literal validator `\(validator)`."
        case .rule(let sentence): sentence
        }
    }

    /// The path of the field to blame: a missing or extra field's own.
    public var fieldPath: String {
        switch reason {
        case .missingField(let field), .extraField(let field): "\(path).\(field)"
        default: path
        }
    }

    /// Summary, path, value and validator on lines of their own.
    public var detail: String {
        var lines = [summary]
        if !path.isEmpty { lines.append("Path: \(path)") }
        if case .object = value { lines.append("Object: \(shown(value))") } else { lines.append("Value: \(shown(value))") }
        lines.append("Validator: \(validator)")
        return lines.joined(separator: "\n")
    }

    /// The caller's own value, cut where it gets long.
    private func shown(_ value: ConvexValue) -> String {
        let text = JSONWriter.bytes { value.encode(into: &$0) }
        return text.count <= 1000 ? String(decoding: text, as: UTF8.self) : String(decoding: text[..<1000], as: UTF8.self) + "…"
    }
}

/// A type with a shape in Convex's data model.
public protocol ConvexType: Sendable {
    static var validator: Validator { get }
}

/// A type that arguments can have.
public protocol ConvexDecodable: ConvexType {
    /// - Parameter path: leads from the arguments to `value`, for the failure.
    static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> Self
}

/// A type that results can have.
public protocol ConvexEncodable: ConvexType {
    func encode(into writer: inout JSONWriter)
}

extension String: ConvexDecodable, ConvexEncodable {
    public static let validator = Validator.string
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> String {
        guard case .string(let string) = value else { throw .mismatch(at: path, value: value, validator: validator) }
        // PostgreSQL's text cannot hold it, and no text of people has it.
        guard !string.utf8.contains(0) else {
            throw .rule("Text must not contain the character U+0000.", at: path, value: value, validator: validator)
        }
        return string
    }
    public func encode(into writer: inout JSONWriter) { writer.string(self) }
}

extension Double: ConvexDecodable, ConvexEncodable {
    public static let validator = Validator.number
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> Double {
        guard case .float64(let number) = value else { throw .mismatch(at: path, value: value, validator: validator) }
        return number
    }
    public func encode(into writer: inout JSONWriter) { writer.float64(self) }
}

extension Bool: ConvexDecodable, ConvexEncodable {
    public static let validator = Validator.boolean
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> Bool {
        guard case .bool(let bool) = value else { throw .mismatch(at: path, value: value, validator: validator) }
        return bool
    }
    public func encode(into writer: inout JSONWriter) { writer.bool(self) }
}

/// Any value, taken as it is and left alone.
extension ConvexValue: ConvexDecodable, ConvexEncodable {
    public static let validator = Validator.any
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> ConvexValue { value }
}

extension ID: ConvexType, ConvexDecodable, ConvexEncodable {
    public static var validator: Validator { .id(table: Kind.tableName) }
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> ID {
        guard case .string(let text) = value else { throw .mismatch(at: path, value: value, validator: validator) }
        if let id = ID(text) { return id }
        if let table = IDTables.table(of: text) {
            throw ValidationFailure(reason: .wrongTable(id: text, table: table), path: path, value: value, validator: validator)
        }
        throw .mismatch(at: path, value: value, validator: validator)
    }
    @inlinable
    public func encode(into writer: inout JSONWriter) { writer.plainString { write(to: &$0) } }
}

/// Whose id a text is, for the sentence about an id of another table.
private enum IDTables {
    static func table(of text: String) -> String? {
        func name<Kind: Entity>(_ kind: Kind.Type) -> String? { ID<Kind>(text) == nil ? nil : Kind.tableName }
        return name(UserEntity.self) ?? name(ConversationEntity.self) ?? name(MessageEntity.self) ?? name(SessionEntity.self)
            ?? name(RefreshTokenEntity.self) ?? name(SecurityEventEntity.self)
    }
}

extension Array: ConvexType where Element: ConvexType {
    public static var validator: Validator { .array(Element.validator) }
}
extension Array: ConvexDecodable where Element: ConvexDecodable {
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> [Element] {
        guard case .array(let values) = value else { throw .mismatch(at: path, value: value, validator: validator) }
        var elements: [Element] = []
        elements.reserveCapacity(values.count)
        for (index, value) in values.enumerated() { elements.append(try Element.decode(value, at: "\(path)[\(index)]")) }
        return elements
    }
}
extension Array: ConvexEncodable where Element: ConvexEncodable {
    @inlinable
    public func encode(into writer: inout JSONWriter) {
        writer.beginArray()
        for element in self { element.encode(into: &writer) }
        writer.endArray()
    }
}

/// A result that may be null.
extension Optional: ConvexType where Wrapped: ConvexType {
    public static var validator: Validator { .union([Wrapped.validator, .null]) }
}
extension Optional: ConvexEncodable where Wrapped: ConvexEncodable {
    public func encode(into writer: inout JSONWriter) {
        if let self { self.encode(into: &writer) } else { writer.null() }
    }
}

/// A result of functions that return nothing.
public struct Null: ConvexEncodable {
    public static let validator = Validator.null
    public init() {}
    public func encode(into writer: inout JSONWriter) { writer.null() }
}

/// A string that is one of a few: `"user" | "admin"`.
public protocol ConvexLiterals: ConvexDecodable, ConvexEncodable, RawRepresentable, CaseIterable where RawValue == String {}

extension ConvexLiterals {
    public static var validator: Validator { .union(allCases.map { .literal($0.rawValue) }) }
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> Self {
        guard case .string(let text) = value, let known = Self(rawValue: text) else {
            throw ValidationFailure(reason: .notLiteral, path: path, value: value, validator: validator)
        }
        return known
    }
    public func encode(into writer: inout JSONWriter) { writer.string(rawValue) }
}

extension Role: ConvexLiterals {}
extension AccountType: ConvexLiterals {}
extension Timeframe: ConvexLiterals {}

extension Severity: ConvexLiterals {}
extension SecurityLevel: ConvexLiterals {}

/// A moment is a number of milliseconds since 1970.
extension Instant: ConvexDecodable, ConvexEncodable {
    public static let validator = Validator.number
    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> Instant {
        let milliseconds = try Double.decode(value, at: path)
        // What JavaScript's Date can hold.
        guard abs(milliseconds) <= 8.64e15 else {
            throw .rule("A time must be within 8.64e15 milliseconds of 1970.", at: path, value: value, validator: validator)
        }
        return Instant(microseconds: Int64((milliseconds * 1000).rounded()))
    }
    public func encode(into writer: inout JSONWriter) { writer.milliseconds(microseconds) }
}
