/// Writes JSON text, value by value, into one buffer.
///
/// Numbers come out as Convex's clients need them: a float64 always with a point or an exponent, because Python's HTTP
/// client refuses a bare `3` (convex-protocol.md 1.7); a protocol counter never with one.
public struct JSONWriter: Sendable {
    /// How the values that JSON does not have are written (convex-protocol.md 2).
    public enum ValueFormat: Sendable {
        /// `{"$integer": …}`: `convex_encoded_json`, which stock clients ask for and the socket always speaks.
        case convexEncoded
        /// Decimal and base64 strings: `json`, for people and curl.
        case plain
    }

    public private(set) var bytes: [UInt8] = []
    public let format: ValueFormat
    private var needsComma = false

    public init(format: ValueFormat = .convexEncoded, capacity: Int = 256) {
        self.format = format
        bytes.reserveCapacity(capacity)
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    public mutating func beginObject() {
        separate()
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
    }

    public mutating func endObject() {
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }

    public mutating func beginArray() {
        separate()
        bytes.append(UInt8(ascii: "["))
        needsComma = false
    }

    public mutating func endArray() {
        bytes.append(UInt8(ascii: "]"))
        needsComma = true
    }

    /// A field's name; its value is to follow.
    public mutating func key(_ key: String) {
        string(key)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A field's name that needs no escaping, written out in source code.
    public mutating func field(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A field's name as `encodedKey` made it, for names that are written often.
    public mutating func key(encoded key: [UInt8]) {
        separate()
        bytes.append(contentsOf: key)
        needsComma = false
    }

    /// A field's name with its quotes and colon.
    public static func encodedKey(_ name: String) -> [UInt8] {
        JSONWriter.bytes(capacity: name.utf8.count + 3) { $0.key(name) }
    }

    public mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    public mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// A counter or size of the protocol's envelope: digits only.
    public mutating func integer(_ value: some BinaryInteger) {
        separate()
        guard let small = Int64(exactly: value), small >= 0 else {
            bytes.append(contentsOf: String(value).utf8)
            return
        }
        // From the last digit to the first; 2⁶³ has nineteen.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 19) { digits in
            var rest = UInt64(small)
            var start = 19
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: UnsafeBufferPointer(digits)[start...]))
        }
    }

    /// A Convex float64. NaN, the infinities and −0 have no JSON form and take Convex's (`$float`).
    public mutating func float64(_ value: Double) {
        if value.isFinite, !(value == 0 && value.sign == .minus) {
            separate()
            if value.magnitude < 1e15, let whole = Int64(exactly: value) {
                bytes.append(contentsOf: String(whole).utf8)
                bytes.append(UInt8(ascii: "."))
                bytes.append(UInt8(ascii: "0"))
            } else {
                bytes.append(contentsOf: value.description.utf8)
            }
        } else if format == .convexEncoded {
            beginObject()
            key("$float")
            base64(littleEndian: value.bitPattern)
            endObject()
        } else if value == 0 {
            raw("-0.0".utf8)
        } else {
            string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
        }
    }

    /// A number of milliseconds, from microseconds: what `float64` writes for their quotient, without dividing. Sixteen
    /// digits at most, which a double holds exactly.
    public mutating func milliseconds(_ microseconds: Int64) {
        guard (0..<9_000_000_000_000_000).contains(microseconds) else { return float64(Double(microseconds) / 1000) }
        let (whole, thousandths) = microseconds.quotientAndRemainder(dividingBy: 1000)
        integer(whole)
        bytes.append(UInt8(ascii: "."))
        let (tenths, rest) = thousandths.quotientAndRemainder(dividingBy: 100)
        let (hundredths, last) = rest.quotientAndRemainder(dividingBy: 10)
        bytes.append(UInt8(ascii: "0") + UInt8(tenths))
        if rest != 0 { bytes.append(UInt8(ascii: "0") + UInt8(hundredths)) }
        if last != 0 { bytes.append(UInt8(ascii: "0") + UInt8(last)) }
    }

    /// A Convex int64, which JSON numbers cannot hold: `{"$integer": …}`.
    public mutating func int64(_ value: Int64) {
        guard format == .convexEncoded else { return string(String(value)) }
        beginObject()
        key("$integer")
        base64(littleEndian: UInt64(bitPattern: value))
        endObject()
    }

    /// A Convex byte string: `{"$bytes": …}`.
    public mutating func byteString(_ value: [UInt8]) {
        let text = Base64.encode(value)
        guard format == .convexEncoded else { return plainString { $0.append(contentsOf: text) } }
        beginObject()
        key("$bytes")
        plainString { $0.append(contentsOf: text) }
        endObject()
    }

    /// Eight bytes, the lowest first, as a base64 string: a sync protocol timestamp (convex-protocol.md 3.4).
    public mutating func base64(littleEndian value: UInt64) {
        plainString { $0.append(contentsOf: Base64.encode(littleEndian: value)) }
    }

    public mutating func string(_ value: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        var value = value
        value.withUTF8 { appendEscaped($0) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Text that needs no escaping, appended to by `write`: ids.
    public mutating func plainString(_ write: (inout [UInt8]) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        write(&bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// A value that is JSON already.
    public mutating func raw(_ json: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    private mutating func appendEscaped(_ text: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for index in text.indices {
            let byte = text[index]
            // Most bytes stand for themselves and go over in runs.
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<index]))
            start = index + 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
            case 0x0D: bytes.append(contentsOf: #"\r"#.utf8)
            case 0x09: bytes.append(contentsOf: #"\t"#.utf8)
            default:
                bytes.append(contentsOf: #"\u00"#.utf8)
                bytes.append(Self.hexadecimal[Int(byte >> 4)])
                bytes.append(Self.hexadecimal[Int(byte & 15)])
            }
        }
        bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start...]))
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
}

extension JSONWriter {
    /// The bytes that `write` produces.
    public static func bytes(
        format: ValueFormat = .convexEncoded, capacity: Int = 256, _ write: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter(format: format, capacity: capacity)
        write(&writer)
        return writer.bytes
    }
}
