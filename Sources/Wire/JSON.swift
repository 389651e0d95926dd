/// A JSON text as a tree (RFC 8259): requests, before anyone has looked at what they mean.
public enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    /// A string that is valid JSON but not valid Unicode: an escape like `\ud800` without its other half.
    case brokenString
    case array([JSON])
    case object([Member])

    public struct Member: Equatable, Sendable {
        public var key: String
        public var value: JSON

        public init(key: String, value: JSON) {
            self.key = key
            self.value = value
        }
    }

    /// The member of an object; of several with one name the last counts, as in JavaScript.
    public subscript(_ key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }

    public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var arrayValue: [JSON]? { if case .array(let value) = self { value } else { nil } }

    /// The value of a protocol counter: a whole number from 0 to 2³²−1.
    public var counterValue: UInt32? {
        if case .number(let value) = self { UInt32(exactly: value) } else { nil }
    }
}

/// Why a text is not JSON, and where.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    public let reason: String
    /// Bytes from the text's beginning.
    public let offset: Int

    public var description: String { "\(reason) at byte \(offset)" }
}

extension JSON {
    /// Reads a whole text.
    ///
    /// - Parameter maximumDepth: how many arrays and objects may stand inside each other; the parser recurses that deep.
    public init(parsing text: some Sequence<UInt8>, maximumDepth: Int = 80) throws(JSONSyntaxError) {
        let parse = { (bytes: UnsafeBufferPointer<UInt8>) -> Result<JSON, JSONSyntaxError> in
            var parser = JSONParser(bytes: bytes, depthLeft: maximumDepth)
            do throws(JSONSyntaxError) {
                return .success(try parser.parseText())
            } catch {
                return .failure(error)
            }
        }
        let outcome = text.withContiguousStorageIfAvailable(parse) ?? Array(text).withUnsafeBufferPointer(parse)
        self = try outcome.get()
    }
}

private struct JSONParser {
    let bytes: UnsafeBufferPointer<UInt8>
    var depthLeft: Int
    var index = 0

    init(bytes: UnsafeBufferPointer<UInt8>, depthLeft: Int) {
        self.bytes = bytes
        self.depthLeft = depthLeft
    }

    mutating func parseText() throws(JSONSyntaxError) -> JSON {
        let value = try parseValue()
        skipBlanks()
        if index < bytes.count { throw failure("unexpected text after the value") }
        return value
    }

    private func failure(_ reason: String) -> JSONSyntaxError { JSONSyntaxError(reason: reason, offset: index) }

    private mutating func skipBlanks() {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            default: return
            }
        }
    }

    private mutating func parseValue() throws(JSONSyntaxError) -> JSON {
        skipBlanks()
        guard index < bytes.count else { throw failure("unexpected end") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "\""):
            guard let string = try parseString() else { return .brokenString }
            return .string(string)
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw failure("unexpected character")
        }
    }

    private mutating func expect(_ word: StaticString) throws(JSONSyntaxError) {
        guard bytes.count - index >= word.utf8CodeUnitCount else { throw failure("unexpected end") }
        for offset in 0..<word.utf8CodeUnitCount where bytes[index + offset] != word.utf8Start[offset] {
            throw failure("unexpected character")
        }
        index += word.utf8CodeUnitCount
    }

    private mutating func enter() throws(JSONSyntaxError) {
        guard depthLeft > 0 else { throw failure("nested too deeply") }
        depthLeft -= 1
        index += 1
    }

    private mutating func parseObject() throws(JSONSyntaxError) -> JSON {
        try enter()
        defer { depthLeft += 1 }
        var members: [JSON.Member] = []
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipBlanks()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw failure("expected a field name") }
            guard let key = try parseString() else { throw failure("field name is not valid Unicode") }
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw failure("expected ':'") }
            members.append(JSON.Member(key: key, value: try parseValue()))
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected ',' or '}'") }
        }
    }

    private mutating func parseArray() throws(JSONSyntaxError) -> JSON {
        try enter()
        defer { depthLeft += 1 }
        var elements: [JSON] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try parseValue())
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected ',' or ']'") }
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    private mutating func parseNumber() throws(JSONSyntaxError) -> JSON {
        let start = index
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try takeDigits() }
        if take(UInt8(ascii: ".")) { try takeDigits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try takeDigits()
        }
        // The grammar has been checked, so the only failure left is an impossible one.
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        guard let value = Double(text), value.isFinite else { throw failure("number out of range") }
        return .number(value)
    }

    private mutating func takeDigits() throws(JSONSyntaxError) {
        let start = index
        while index < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) { index += 1 }
        if index == start { throw failure("expected a digit") }
    }

    /// Nil when an escape names half a surrogate pair; the string has been read past in that case too.
    private mutating func parseString() throws(JSONSyntaxError) -> String? {
        index += 1
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\\") {
            guard bytes[index] >= 0x20 else { throw failure("control character in a string") }
            index += 1
        }
        guard index < bytes.count else { throw failure("unexpected end") }
        if bytes[index] == UInt8(ascii: "\"") {
            defer { index += 1 }
            return try validated(UnsafeBufferPointer(rebasing: bytes[start..<index]))
        }
        return try parseEscapedString(from: start)
    }

    private mutating func parseEscapedString(from start: Int) throws(JSONSyntaxError) -> String? {
        var text = Array(bytes[start..<index])
        var isBroken = false
        while true {
            guard index < bytes.count else { throw failure("unexpected end") }
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                if isBroken { return nil }
                return try text.withUnsafeBufferPointer { (buffer) throws(JSONSyntaxError) in try validated(buffer) }
            case UInt8(ascii: "\\"):
                guard index < bytes.count else { throw failure("unexpected end") }
                let escape = bytes[index]
                index += 1
                switch escape {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
                case UInt8(ascii: "b"): text.append(0x08)
                case UInt8(ascii: "f"): text.append(0x0C)
                case UInt8(ascii: "n"): text.append(0x0A)
                case UInt8(ascii: "r"): text.append(0x0D)
                case UInt8(ascii: "t"): text.append(0x09)
                case UInt8(ascii: "u"):
                    if let scalar = try parseUnicodeEscape() {
                        text.append(contentsOf: UTF8.encode(scalar)!)
                    } else {
                        isBroken = true
                    }
                default: throw failure("unknown escape")
                }
            case 0..<0x20: throw failure("control character in a string")
            default: text.append(byte)
            }
        }
    }

    private mutating func parseUnicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar? {
        let first = try parseFourDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        // A high surrogate and the low one behind it make one character.
        guard first < 0xDC00, bytes.count - index >= 6, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
            return nil
        }
        let before = index
        index += 2
        let second = try parseFourDigits()
        guard (0xDC00...0xDFFF).contains(second) else {
            index = before
            return nil
        }
        return Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
    }

    private mutating func parseFourDigits() throws(JSONSyntaxError) -> UInt16 {
        guard bytes.count - index >= 4 else { throw failure("unexpected end") }
        var value: UInt16 = 0
        for _ in 0..<4 {
            let digit: UInt8
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = bytes[index] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = bytes[index] - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = bytes[index] - UInt8(ascii: "A") + 10
            default: throw failure("expected a hexadecimal digit")
            }
            value = value << 4 | UInt16(digit)
            index += 1
        }
        return value
    }

    private func validated(_ utf8: UnsafeBufferPointer<UInt8>) throws(JSONSyntaxError) -> String {
        guard let string = String(validating: utf8, as: UTF8.self) else { throw failure("invalid UTF-8") }
        return string
    }
}
