/// Reads JSON text in place (RFC 8259, strictly): checks it and says where things are, without making a tree of it.
///
/// `Wire.JSON` makes a tree, which costs several times as much; events come in hundreds of thousands a second.
struct JSONScanner {
    let bytes: UnsafeRawBufferPointer
    private(set) var index: Int
    /// How many more arrays and objects may stand inside each other. The scanner recurses that deep.
    private var depthLeft: Int
    /// Whether the scanner has stopped because of that.
    private(set) var isTooDeep = false

    static let maximumDepth = 32

    init(_ bytes: UnsafeRawBufferPointer, at index: Int = 0) {
        self.bytes = bytes
        self.index = index
        depthLeft = Self.maximumDepth
    }

    /// A value's place in the text.
    struct Value {
        enum Kind { case null, bool, number, string, array, object }

        var kind: Kind
        var start: Int
        /// Behind its last byte.
        var end: Int
        /// Of a string: whether it has escapes.
        var hasEscapes = false
    }

    /// Of several members with one name the last counts; they are all listed.
    struct Member {
        /// A string.
        var name: Value
        var value: Value
    }

    func failure(_ reason: String) -> EventRejection { EventRejection("not JSON: \(reason) at byte \(index)") }

    var isAtEnd: Bool { index >= bytes.count }

    mutating func skipBlanks() {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            default: return
            }
        }
    }

    /// The byte at which the scanner stands; 0, which nothing in JSON begins with, at the end.
    var current: UInt8 { index < bytes.count ? bytes[index] : 0 }

    mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte, index < bytes.count else { return false }
        index += 1
        return true
    }

    /// Throws unless a text is one JSON value.
    static func check(_ text: ArraySlice<UInt8>) throws(EventRejection) {
        try text.withUnsafeBufferPointer { (text) throws(EventRejection) in
            var scanner = JSONScanner(UnsafeRawBufferPointer(text))
            _ = try scanner.takeValue()
            scanner.skipBlanks()
            guard scanner.isAtEnd else { throw scanner.failure("unexpected text after the value") }
        }
    }

    /// Reads past the object that begins here.
    ///
    /// - Parameter limit: members that end further than so many bytes from the object's beginning are checked, but not listed.
    mutating func takeMembers(within limit: Int) throws(EventRejection) -> [Member] {
        var members: [Member] = []
        members.reserveCapacity(16)
        let start = index
        try takeObject { member, end in
            if end - start <= limit { members.append(member) }
        }
        return members
    }

    private mutating func takeObject(_ found: (Member, Int) -> Void) throws(EventRejection) {
        try enter()
        skipBlanks()
        if !take(UInt8(ascii: "}")) {
            while true {
                skipBlanks()
                guard current == UInt8(ascii: "\"") else { throw failure("a field name is missing") }
                let name = try takeString()
                skipBlanks()
                guard take(UInt8(ascii: ":")) else { throw failure("':' is missing") }
                found(Member(name: name, value: try takeValue()), index)
                skipBlanks()
                if take(UInt8(ascii: "}")) { break }
                guard take(UInt8(ascii: ",")) else { throw failure("',' or '}' is missing") }
            }
        }
        depthLeft += 1
    }

    private mutating func skipArray() throws(EventRejection) {
        try enter()
        skipBlanks()
        if !take(UInt8(ascii: "]")) {
            while true {
                _ = try takeValue()
                skipBlanks()
                if take(UInt8(ascii: "]")) { break }
                guard take(UInt8(ascii: ",")) else { throw failure("',' or ']' is missing") }
            }
        }
        depthLeft += 1
    }

    private mutating func enter() throws(EventRejection) {
        guard depthLeft > 0 else {
            isTooDeep = true
            throw EventRejection("nested deeper than \(Self.maximumDepth) levels")
        }
        depthLeft -= 1
        index += 1
    }

    /// Reads past the value that begins here or behind blanks.
    mutating func takeValue() throws(EventRejection) -> Value {
        skipBlanks()
        let start = index
        switch current {
        case UInt8(ascii: "\""): return try takeString()
        case UInt8(ascii: "{"):
            try takeObject { _, _ in }
            return Value(kind: .object, start: start, end: index)
        case UInt8(ascii: "["):
            try skipArray()
            return Value(kind: .array, start: start, end: index)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try skipNumber()
            return Value(kind: .number, start: start, end: index)
        case UInt8(ascii: "t"): return try takeWord("true", .bool)
        case UInt8(ascii: "f"): return try takeWord("false", .bool)
        case UInt8(ascii: "n"): return try takeWord("null", .null)
        default: throw failure(isAtEnd ? "unexpected end" : "unexpected character")
        }
    }

    private mutating func takeWord(_ word: StaticString, _ kind: Value.Kind) throws(EventRejection) -> Value {
        let start = index
        for offset in 0..<word.utf8CodeUnitCount {
            guard take(word.utf8Start[offset]) else { throw failure(isAtEnd ? "unexpected end" : "unexpected character") }
        }
        return Value(kind: kind, start: start, end: index)
    }

    private mutating func skipNumber() throws(EventRejection) {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try skipDigits() }
        if take(UInt8(ascii: ".")) { try skipDigits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try skipDigits()
        }
    }

    private mutating func skipDigits() throws(EventRejection) {
        let start = index
        while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(current) { index += 1 }
        if index == start { throw failure("a digit is missing") }
    }

    private mutating func takeString() throws(EventRejection) -> Value {
        let start = index
        var hasEscapes = false
        index += 1
        while true {
            index = endOfPlainText
            switch current {
            case UInt8(ascii: "\""):
                index += 1
                return Value(kind: .string, start: start, end: index, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                index += 1
                try skipEscape()
            default: throw failure(isAtEnd ? "unexpected end" : "control character in a string")
            }
        }
    }

    /// Where the next quote, backslash or control character is.
    private var endOfPlainText: Int {
        var index = index
        // Eight bytes at a time. A byte's highest bit is set where the byte is less than what is subtracted; bytes behind such a
        // one may have theirs set too, but only the first counts.
        let ones: UInt64 = 0x0101_0101_0101_0101
        while index + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let quotes = word ^ ones &* UInt64(UInt8(ascii: "\""))
            let backslashes = word ^ ones &* UInt64(UInt8(ascii: "\\"))
            let isLess = (quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes | (word &- ones &* 0x20) & ~word
            let ends = isLess & (ones &* 0x80)
            if ends != 0 { return index + ends.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
            index += 1
        }
        return index
    }

    /// Reads past what follows a backslash.
    private mutating func skipEscape() throws(EventRejection) {
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 1
        case UInt8(ascii: "u"):
            index += 1
            for _ in 0..<4 {
                guard Self.hexadecimal(current) != nil else { throw failure("a hexadecimal digit is missing") }
                index += 1
            }
        default: throw failure("unknown escape")
        }
    }

    fileprivate static func hexadecimal(_ digit: UInt8) -> UInt16? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(digit - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(digit - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(digit - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// Goes behind an object or array that is nested too deeply, as far as brackets and quotes show where that is; stays where it
    /// is and returns false if they do not.
    mutating func skipUnchecked() -> Bool {
        let start = index
        var depth = 0
        repeat {
            switch current {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                index += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                index += 1
            case UInt8(ascii: "\""):
                guard (try? takeString()) != nil else {
                    index = start
                    return false
                }
            default:
                guard !isAtEnd else {
                    index = start
                    return false
                }
                index += 1
            }
        } while depth > 0
        return true
    }
}

// What has been scanned, read: the text is known to be JSON.
extension JSONScanner {
    /// A value's bytes; a string's without its quotes.
    func content(of value: Value) -> UnsafeRawBufferPointer {
        value.kind == .string
            ? UnsafeRawBufferPointer(rebasing: bytes[(value.start + 1)..<(value.end - 1)])
            : UnsafeRawBufferPointer(rebasing: bytes[value.start..<value.end])
    }

    /// A string's text. Bytes that are not UTF-8, NUL characters and halves of surrogate pairs come out as U+FFFD.
    func text(of string: Value) -> String {
        let content = content(of: string)
        guard string.hasEscapes else { return String(decoding: content, as: UTF8.self) }
        var text: [UInt8] = []
        text.reserveCapacity(content.count)
        var rest = content[...]
        while let backslash = rest.firstIndex(of: UInt8(ascii: "\\")) {
            text.append(contentsOf: rest[..<backslash])
            let escape = content[backslash + 1]
            var end = backslash + 2
            switch escape {
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                let (scalar, length) = Self.unicodeEscape(in: content, at: end)
                end += length
                text.append(contentsOf: UTF8.encode(scalar)!)
            default: text.append(escape)
            }
            rest = content[end...]
        }
        text.append(contentsOf: rest)
        return String(decoding: text, as: UTF8.self)
    }

    /// The character whose escape's digits begin at an index, and how many bytes from there on it takes: 4, or 10 for a
    /// surrogate pair. U+FFFD for what no text may hold.
    private static func unicodeEscape(in content: UnsafeRawBufferPointer, at index: Int) -> (scalar: Unicode.Scalar, length: Int) {
        let first = fourDigits(in: content, at: index)
        if first == 0 { return ("\u{FFFD}", 4) }
        if let scalar = Unicode.Scalar(first) { return (scalar, 4) }
        guard first < 0xDC00, content.count - index >= 10, content[index + 4] == UInt8(ascii: "\\"),
            content[index + 5] == UInt8(ascii: "u")
        else { return ("\u{FFFD}", 4) }
        let second = fourDigits(in: content, at: index + 6)
        guard (0xDC00...0xDFFF).contains(second) else { return ("\u{FFFD}", 4) }
        return (Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))!, 10)
    }

    private static func fourDigits(in content: UnsafeRawBufferPointer, at index: Int) -> UInt16 {
        (index..<(index + 4)).reduce(0) { $0 << 4 | (hexadecimal(content[$1]) ?? 0) }
    }

    /// Appends a value's text without blanks. Escapes of NUL characters and of halves of surrogate pairs, which PostgreSQL's
    /// `jsonb` refuses, become those of U+FFFD.
    func copy(_ value: Value, to text: inout [UInt8]) {
        let source = UnsafeRawBufferPointer(rebasing: bytes[value.start..<value.end])
        switch value.kind {
        case .null, .bool, .number: text.append(contentsOf: source)
        case .string where !value.hasEscapes: text.append(contentsOf: source)
        case .string, .array, .object:
            var isInString = false
            var index = 0
            while index < source.count {
                let byte = source[index]
                var length = 1
                switch byte {
                case UInt8(ascii: "\""): isInString.toggle()
                case UInt8(ascii: "\\"):
                    length = 2
                    if source[index + 1] == UInt8(ascii: "u") {
                        let (scalar, digits) = Self.unicodeEscape(in: source, at: index + 2)
                        length += digits
                        if scalar == "\u{FFFD}" {
                            text.append(contentsOf: #"\ufffd"#.utf8)
                            index += length
                            continue
                        }
                    }
                case 0x20, 0x09, 0x0A, 0x0D:
                    if !isInString {
                        index += 1
                        continue
                    }
                default: break
                }
                text.append(contentsOf: source[index..<(index + length)])
                index += length
            }
        }
    }
}
