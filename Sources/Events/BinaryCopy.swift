import Domain

/// PostgreSQL's binary COPY format, as far as events need it: `header`, then each row as its number of fields and the fields,
/// then `trailer`. A field is its length (Int32, −1 for NULL) and its bytes; all integers are in network byte order.
public enum BinaryCopy {
    /// Signature, flags and the length of a header extension, both zero.
    public static let header: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00] + [0, 0, 0, 0] + [0, 0, 0, 0]
    public static let trailer: [UInt8] = [0xFF, 0xFF]

    /// Begins a row.
    public static func appendFieldCount(_ count: Int, to bytes: inout [UInt8]) {
        bytes.appendBigEndian(Int16(count))
    }

    /// A field of type `uuid`.
    public static func appendField(_ uuid: UUIDBits, to bytes: inout [UInt8]) {
        bytes.appendBigEndian(Int32(16))
        bytes.append(uuid)
    }

    static func appendNull(to bytes: inout [UInt8]) {
        bytes.appendBigEndian(Int32(-1))
    }

    /// A field of type `text`.
    static func appendField(_ text: String, to bytes: inout [UInt8]) {
        bytes.appendBigEndian(Int32(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    /// A field of whatever length `write` makes it.
    static func appendField(to bytes: inout [UInt8], _ write: (inout [UInt8]) -> Void) {
        let start = bytes.count
        bytes.appendBigEndian(Int32(0))
        write(&bytes)
        let length = Int32(bytes.count - start - 4)
        for index in 0..<4 { bytes[start + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * Int32(index))) }
    }
}

extension [UInt8] {
    mutating func append(_ uuid: UUIDBits) {
        appendBigEndian(uuid.high)
        appendBigEndian(uuid.low)
    }
}

extension ArraySlice<UInt8> {
    mutating func takeUUID() -> UUIDBits? {
        guard let high = takeBigEndian(UInt64.self), let low = takeBigEndian(UInt64.self) else { return nil }
        return UUIDBits(high: high, low: low)
    }
}
