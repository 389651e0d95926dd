import FoundationEssentials

/// Base 64 with the alphabet for URLs and without padding (RFC 7515, appendix C).
enum Base64URL {
    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let text = Data(bytes).base64EncodedString()
        return String(
            decoding: text.utf8.lazy.filter { $0 != UInt8(ascii: "=") }.map { digit in
                switch digit {
                case UInt8(ascii: "+"): UInt8(ascii: "-")
                case UInt8(ascii: "/"): UInt8(ascii: "_")
                default: digit
                }
            }, as: UTF8.self)
    }

    /// Nil for anything that is not of this form; `+`, `/` and `=` are not.
    static func decode(_ digits: some Collection<UInt8>) -> Data? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count + 3)
        for digit in digits {
            switch digit {
            case UInt8(ascii: "-"): bytes.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): bytes.append(UInt8(ascii: "/"))
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
            default: bytes.append(digit)
            }
        }
        while bytes.count % 4 != 0 { bytes.append(UInt8(ascii: "=")) }
        return Data(base64Encoded: Data(bytes))
    }
}
