/// Base64 with padding (RFC 4648, section 4), as Convex's values and timestamps use it, and the URL-safe alphabet without
/// padding (section 5) for our own cursors.
public enum Base64 {
    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlSafe = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    public static func encode(_ bytes: some Collection<UInt8>) -> [UInt8] {
        encode(bytes, alphabet: standard, isPadded: true)
    }

    public static func encodeURLSafe(_ bytes: some Collection<UInt8>) -> [UInt8] {
        encode(bytes, alphabet: urlSafe, isPadded: false)
    }

    public static func encode(littleEndian value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { encode($0) }
    }

    private static func encode(_ bytes: some Collection<UInt8>, alphabet: [UInt8], isPadded: Bool) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(buffer >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(buffer << UInt32(6 - bits) & 63)]) }
        while isPadded, text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return text
    }

    /// Nil for anything but canonical padded base64.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        decode(Array(text.utf8), alphabet: standard, isPadded: true)
    }

    public static func decodeURLSafe(_ text: some StringProtocol) -> [UInt8]? {
        decode(Array(text.utf8), alphabet: urlSafe, isPadded: false)
    }

    /// The 64-bit number behind a timestamp; nil unless it is eight bytes.
    public static func decode(littleEndian text: some StringProtocol) -> UInt64? {
        guard let bytes = decode(text), bytes.count == 8 else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func decode(_ text: [UInt8], alphabet: [UInt8], isPadded: Bool) -> [UInt8]? {
        var digits = text[...]
        if isPadded {
            guard text.count % 4 == 0 else { return nil }
            while digits.last == UInt8(ascii: "="), text.count - digits.count < 2 { digits.removeLast() }
        }
        guard digits.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        for digit in digits {
            guard let value = value(of: digit, isURLSafe: !isPadded) else { return nil }
            buffer = buffer << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        // Bits that do not make a byte have to be zero, or one value would have several texts.
        guard buffer & (1 << UInt32(bits) - 1) == 0 else { return nil }
        return bytes
    }

    private static func value(of digit: UInt8, isURLSafe: Bool) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: isURLSafe ? "-" : "+"): 62
        case UInt8(ascii: isURLSafe ? "_" : "/"): 63
        default: nil
        }
    }
}
