/// What an id names. The prefix is the id's first part in the API, so that a user id given where a message id belongs
/// is refused before it reaches SQL.
public protocol Entity: Sendable {
    /// Lower-case ASCII letters, the TypeID prefix.
    static var idPrefix: String { get }
    /// The table's name in Convex's validators: `v.id("users")`.
    static var tableName: String { get }
}

public enum UserEntity: Entity {
    public static let idPrefix = "user"
    public static let tableName = "users"
}
public enum ConversationEntity: Entity {
    public static let idPrefix = "conversation"
    public static let tableName = "conversations"
}
public enum MessageEntity: Entity {
    public static let idPrefix = "message"
    public static let tableName = "messages"
}
public enum SessionEntity: Entity {
    public static let idPrefix = "session"
    public static let tableName = "sessions"
}
public enum RefreshTokenEntity: Entity {
    public static let idPrefix = "refresh"
    public static let tableName = "refreshTokens"
}
public enum SecurityEventEntity: Entity {
    public static let idPrefix = "event"
    public static let tableName = "securityEvents"
}

public typealias UserID = ID<UserEntity>
public typealias ConversationID = ID<ConversationEntity>
public typealias MessageID = ID<MessageEntity>
public typealias SessionID = ID<SessionEntity>
public typealias RefreshTokenID = ID<RefreshTokenEntity>
public typealias SecurityEventID = ID<SecurityEventEntity>

/// An id of one kind of row: a `uuid` in PostgreSQL, in the API a TypeID (github.com/jetify-com/typeid):
/// `user_01h455vb4pex5vsknk084sn02q`, the prefix and 26 digits of Crockford's base 32.
public struct ID<Kind: Entity>: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let uuid: UUIDBits

    @inlinable
    public init(_ uuid: UUIDBits) {
        self.uuid = uuid
    }

    /// Reads the API form; nil for anything else, ids of other tables and upper-case digits included.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        let prefix = Array(Kind.idPrefix.utf8)
        guard bytes.count == prefix.count + 27, bytes.starts(with: prefix), bytes[prefix.count] == UInt8(ascii: "_"),
            let uuid = CrockfordBase32.decode(bytes[(prefix.count + 1)...])
        else { return nil }
        self.uuid = uuid
    }

    public static func < (left: Self, right: Self) -> Bool { left.uuid < right.uuid }

    public var description: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Kind.idPrefix.utf8.count + 27)
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the API form. All its bytes are ASCII letters, digits and `_`.
    @inlinable
    public func write(to bytes: inout [UInt8]) {
        uuid.writeTypeID(prefix: Kind.idPrefix, to: &bytes)
    }
}

extension UUIDBits {
    @usableFromInline
    func writeTypeID(prefix: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: prefix.utf8)
        bytes.append(UInt8(ascii: "_"))
        CrockfordBase32.encode(self, to: &bytes)
    }
}

/// 128 bits as 26 digits of five bits, the first one at most 7.
enum CrockfordBase32 {
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 255, count: 256)
        for (value, digit) in alphabet.enumerated() { table[Int(digit)] = UInt8(value) }
        return table
    }()

    /// Two digits for each ten bits, in the order in which they stand in memory.
    private static let pairs: [UInt16] = (0..<1024).map { value in
        UInt16(littleEndian: UInt16(alphabet[value >> 5]) | UInt16(alphabet[value & 31]) << 8)
    }

    static func encode(_ uuid: UUIDBits, to bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 13) { digits in
            pairs.withUnsafeBufferPointer { pairs in
                // From the last pair to the first; the first has eight bits.
                var (high, low) = (uuid.high, uuid.low)
                for index in stride(from: 12, through: 0, by: -1) {
                    digits[index] = pairs[Int(low & 1023)]
                    low = low >> 10 | high << 54
                    high >>= 10
                }
            }
            bytes.append(contentsOf: UnsafeRawBufferPointer(UnsafeBufferPointer(digits)))
        }
    }

    static func decode(_ digits: ArraySlice<UInt8>) -> UUIDBits? {
        guard digits.count == 26, let first = digits.first, values[Int(first)] < 8 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for digit in digits {
            let value = values[Int(digit)]
            guard value < 32 else { return nil }
            high = high << 5 | low >> 59
            low = low << 5 | UInt64(value)
        }
        return UUIDBits(high: high, low: low)
    }
}
