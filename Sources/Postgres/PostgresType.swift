/// A type's object id in `pg_type`; those of the built-in types never change.
public struct PostgresType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let bool = PostgresType(rawValue: 16)
    public static let bytea = PostgresType(rawValue: 17)
    public static let int8 = PostgresType(rawValue: 20)
    public static let int2 = PostgresType(rawValue: 21)
    public static let int4 = PostgresType(rawValue: 23)
    public static let text = PostgresType(rawValue: 25)
    public static let json = PostgresType(rawValue: 114)
    public static let float4 = PostgresType(rawValue: 700)
    public static let float8 = PostgresType(rawValue: 701)
    public static let varchar = PostgresType(rawValue: 1043)
    public static let timestamptz = PostgresType(rawValue: 1184)
    public static let uuid = PostgresType(rawValue: 2950)
    public static let textArray = PostgresType(rawValue: 1009)
    public static let int8Array = PostgresType(rawValue: 1016)
    public static let uuidArray = PostgresType(rawValue: 2951)
    public static let timestamptzArray = PostgresType(rawValue: 1185)

    /// Whether the binary form is the text itself: the character types, json, untyped literals, and types that were made
    /// in the database, which are enumerations here (ids below 16384 are PostgreSQL's own).
    var isText: Bool {
        switch self {
        case .text, .varchar, .json, Self.name, Self.character, Self.unknown: true
        default: rawValue >= 16384
        }
    }

    private static let name = PostgresType(rawValue: 19)
    private static let unknown = PostgresType(rawValue: 705)
    private static let character = PostgresType(rawValue: 1042)
}

/// A Swift value that goes to PostgreSQL as a parameter, in the type's binary form.
public protocol PostgresEncodable: Sendable {
    static var postgresType: PostgresType { get }
    /// Appends the value's binary form; returns false for NULL, having appended nothing.
    func encode(into bytes: inout [UInt8]) -> Bool
}

/// A Swift value read from a column that came in binary form.
public protocol PostgresDecodable: Sendable {
    /// - Parameter bytes: nil for NULL. Valid during the call only.
    static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Self
}

public typealias PostgresCodable = PostgresEncodable & PostgresDecodable

/// A column does not hold what the code expects: the statement and its reader disagree.
public struct ColumnMismatch: Error, Sendable {
    public let expected: String
    public let type: PostgresType
    public let wasNull: Bool

    public init(expected: String, type: PostgresType, wasNull: Bool) {
        self.expected = expected
        self.type = type
        self.wasNull = wasNull
    }
}

/// The values of one statement's parameters, one after the other in one buffer.
struct Parameters: Sendable {
    struct Slot {
        var type: PostgresType
        /// -1: NULL.
        var length: Int32
        var offset: Int
    }
    private(set) var slots: [Slot] = []
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: some PostgresEncodable) {
        let offset = bytes.count
        let isPresent = value.encode(into: &bytes)
        slots.append(Slot(type: type(of: value).postgresType, length: isPresent ? Int32(bytes.count - offset) : -1, offset: offset))
    }
}

extension [UInt8] {
    /// Appends an integer in network byte order.
    @inlinable
    public mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}

extension UnsafeRawBufferPointer {
    /// Reads an integer in network byte order; the caller has checked the bounds.
    @inlinable
    public func loadBigEndian<Integer: FixedWidthInteger>(at offset: Int = 0, as type: Integer.Type = Integer.self) -> Integer {
        Integer(bigEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension String: PostgresCodable {
    public static let postgresType = PostgresType.text
    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.append(contentsOf: utf8)
        return true
    }
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> String {
        guard let bytes, type.isText else { throw ColumnMismatch(expected: "text", type: type, wasNull: bytes == nil) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Bool: PostgresCodable {
    public static let postgresType = PostgresType.bool
    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.append(self ? 1 : 0)
        return true
    }
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Bool {
        guard let bytes, type == .bool, bytes.count == 1 else {
            throw ColumnMismatch(expected: "bool", type: type, wasNull: bytes == nil)
        }
        return bytes[0] != 0
    }
}

extension Int64: PostgresCodable {
    public static let postgresType = PostgresType.int8
    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.appendBigEndian(self)
        return true
    }
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Int64 {
        switch (type, bytes?.count) {
        case (.int8, 8): bytes!.loadBigEndian(as: Int64.self)
        case (.int4, 4): Int64(bytes!.loadBigEndian(as: Int32.self))
        case (.int2, 2): Int64(bytes!.loadBigEndian(as: Int16.self))
        default: throw ColumnMismatch(expected: "bigint", type: type, wasNull: bytes == nil)
        }
    }
}

extension Int: PostgresCodable {
    public static let postgresType = PostgresType.int8
    public func encode(into bytes: inout [UInt8]) -> Bool { Int64(self).encode(into: &bytes) }
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Int {
        Int(try Int64.decode(bytes, type: type))
    }
}

extension Double: PostgresCodable {
    public static let postgresType = PostgresType.float8
    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.appendBigEndian(bitPattern)
        return true
    }
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Double {
        switch (type, bytes?.count) {
        case (.float8, 8): Double(bitPattern: bytes!.loadBigEndian(as: UInt64.self))
        case (.float4, 4): Double(Float(bitPattern: bytes!.loadBigEndian(as: UInt32.self)))
        default: throw ColumnMismatch(expected: "double precision", type: type, wasNull: bytes == nil)
        }
    }
}

/// Raw bytes (`bytea`).
extension [UInt8]: PostgresEncodable, PostgresDecodable {
    public static var postgresType: PostgresType { .bytea }
    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.append(contentsOf: self)
        return true
    }
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> [UInt8] {
        guard let bytes else { throw ColumnMismatch(expected: "bytea", type: type, wasNull: true) }
        return Array(bytes)
    }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
    public static var postgresType: PostgresType { Wrapped.postgresType }
    public func encode(into bytes: inout [UInt8]) -> Bool { self?.encode(into: &bytes) ?? false }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    @inlinable
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Wrapped? {
        guard let bytes else { return nil }
        return try Wrapped.decode(bytes, type: type)
    }
}

/// A one-dimensional array of values without NULLs, for `= ANY ($1)`.
public struct PostgresArray<Element: PostgresEncodable>: PostgresEncodable {
    public let elements: [Element]
    public init(_ elements: [Element]) { self.elements = elements }

    /// Known for the element types in use; others say so at the first use.
    public static var postgresType: PostgresType {
        switch Element.postgresType {
        case .uuid: .uuidArray
        case .text: .textArray
        case .int8: .int8Array
        case .timestamptz: .timestamptzArray
        default: preconditionFailure("PostgresArray knows no array type of \(Element.self)")
        }
    }

    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.appendBigEndian(Int32(elements.isEmpty ? 0 : 1))  // dimensions
        bytes.appendBigEndian(Int32(0))  // no NULLs
        bytes.appendBigEndian(Element.postgresType.rawValue)
        if !elements.isEmpty {
            bytes.appendBigEndian(Int32(elements.count))
            bytes.appendBigEndian(Int32(1))  // lower bound
        }
        for element in elements {
            let lengthAt = bytes.count
            bytes.appendBigEndian(Int32(0))
            precondition(element.encode(into: &bytes), "PostgresArray holds no NULLs")
            let length = Int32(bytes.count - lengthAt - 4).bigEndian
            withUnsafeBytes(of: length) { bytes.replaceSubrange(lengthAt..<lengthAt + 4, with: $0) }
        }
        return true
    }
}
