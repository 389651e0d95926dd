/// The 128 bits of a UUID, as PostgreSQL sends them in binary.
///
/// Ids are UUIDv7 (RFC 9562): the first 48 bits are milliseconds since 1970, so that ids sort by time. The database
/// makes most of them, with the SQL function `uuid_v7()`; comparison here is the comparison that PostgreSQL makes.
public struct UUIDBits: Hashable, Comparable, Sendable {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static let lowest = UUIDBits(high: 0, low: 0)
    public static let highest = UUIDBits(high: .max, low: .max)

    public static func < (left: UUIDBits, right: UUIDBits) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }

    /// A new UUIDv7 for the given moment; 74 of its bits are random.
    public static func v7(milliseconds: Int64) -> UUIDBits {
        var generator = SystemRandomNumberGenerator()
        let random = generator.next()
        let high = UInt64(truncatingIfNeeded: milliseconds) << 16 | 0x7000 | (random & 0x0FFF)
        let low = 0x8000_0000_0000_0000 | (generator.next() & 0x3FFF_FFFF_FFFF_FFFF)
        return UUIDBits(high: high, low: low)
    }

    /// 122 random bits, as UUIDv4.
    public static func random() -> UUIDBits {
        var generator = SystemRandomNumberGenerator()
        let high = generator.next() & ~0xF000 | 0x4000
        let low = 0x8000_0000_0000_0000 | (generator.next() & 0x3FFF_FFFF_FFFF_FFFF)
        return UUIDBits(high: high, low: low)
    }
}

extension UUIDBits: CustomStringConvertible {
    /// The usual form, `018f2f6e-…`, as psql shows it.
    public var description: String {
        let digits = Self.hexadecimal(high) + Self.hexadecimal(low)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index == 8 || index == 12 || index == 16 || index == 20 { text.append("-") }
            text.append(digit)
        }
        return text
    }

    /// Reads the usual form, with hyphens in their places or without any, in either case.
    public init?(_ text: some StringProtocol) {
        var digits = 0
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in text.utf8 {
            let value: UInt64
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = UInt64(byte - UInt8(ascii: "a")) + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = UInt64(byte - UInt8(ascii: "A")) + 10
            case UInt8(ascii: "-"): continue
            default: return nil
            }
            guard digits < 32 else { return nil }
            if digits < 16 { high = high << 4 | value } else { low = low << 4 | value }
            digits += 1
        }
        guard digits == 32 else { return nil }
        self.init(high: high, low: low)
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
