import Testing
@testable import Wire

/// What a text parses to, or why it does not.
private func parsed(_ text: String, maximumDepth: Int = 80) -> Result<JSON, JSONSyntaxError> {
    parsed(Array(text.utf8), maximumDepth: maximumDepth)
}

private func isRefused(_ bytes: [UInt8]) -> Bool {
    if case .failure = parsed(bytes) { true } else { false }
}

private func parsed(_ bytes: [UInt8], maximumDepth: Int = 80) -> Result<JSON, JSONSyntaxError> {
    do throws(JSONSyntaxError) {
        return .success(try JSON(parsing: bytes, maximumDepth: maximumDepth))
    } catch {
        return .failure(error)
    }
}

@Suite("Reading JSON")
struct JSONTests {
    @Test(
        "a text that RFC 8259 allows is read",
        arguments: [
            ("null", JSON.null),
            (" \t\r\n true \n", .bool(true)),
            ("false", .bool(false)),
            ("0", .number(0)),
            ("-0", .number(-0.0)),
            ("3", .number(3)),
            ("3.0", .number(3)),
            ("-12.5e-1", .number(-1.25)),
            ("1E+2", .number(100)),
            ("1e21", .number(1e21)),
            ("9007199254740993", .number(9_007_199_254_740_992)),
            ("1e-400", .number(0)),
            (#""""#, .string("")),
            (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{C}\n\r\t")),
            (#""\u0000""#, .string("\0")),
            (#""\u00e9\u00C9é""#, .string("éÉé")),
            (#""\ud83d\ude00""#, .string("😀")),
            ("\"\u{7F}\u{2028}\"", .string("\u{7F}\u{2028}")),
            ("[]", .array([])),
            ("[ 1 , [ ] , { } ]", .array([.number(1), .array([]), .object([])])),
            (#"{"":null,"a":[1]}"#, .object([.init(key: "", value: .null), .init(key: "a", value: .array([.number(1)]))])),
        ])
    func validText(text: String, value: JSON) {
        #expect(parsed(text) == .success(value))
    }

    @Test(
        "a text that RFC 8259 does not allow is refused",
        arguments: [
            "", " ", "nul", "nulll", "True", "'a'", "NaN", "Infinity", "-Infinity", "undefined",
            "+1", "01", "-01", "1.", ".5", "1.e1", "1e", "1e+", "0x10", "1_000", "--1", "-", "1 2",
            "\"", "\"a", #""\"#, #""\x41""#, #""\u12""#, #""\u12g4""#, "\"\n\"", "\"\t\"", "\"\0\"", "\"\\n\0\"",
            "[", "]", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1}",
            "{", "}", "{,}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{a:1}"#, #"{'a':1}"#, #"{"a":1 "b":2}"#, #"{1:2}"#,
            "/* comment */ 1", "1 // comment", "\u{FEFF}1", "\u{A0}1", "1e400", "-1e400", #"{"\ud800":1}"#,
        ])
    func invalidText(text: String) {
        #expect(isRefused(Array(text.utf8)))
    }

    @Test(
        "bytes that are not UTF-8 are refused",
        arguments: [
            [0xFF], [0xC0, 0x80], [0xE9], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80],
            [0x80],
        ] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        #expect(isRefused([quote] + bytes + [quote]))
        #expect(isRefused([quote] + Array(#"\n"#.utf8) + bytes + [quote]))
        #expect(isRefused(Array("{\"".utf8) + bytes + Array("\":1}".utf8)))
    }

    @Test(
        "a lone surrogate is no string, and does not disturb what follows it",
        arguments: [#""\ud800""#, #""\udc00""#, #""a\udfffb""#, #""\ud800\ud800""#, #""\udc00\ud800""#, #""\ud83dx\ude00""#, #""\ud800\u0041""#])
    func loneSurrogate(text: String) {
        #expect(parsed("[\(text),1]") == .success(.array([.brokenString, .number(1)])))
    }

    @Test("as many values may stand inside each other as the limit says, and no more")
    func depth() {
        func nested(_ count: Int) -> String { String(repeating: "[", count: count) + String(repeating: "]", count: count) }
        func isAccepted(_ text: String) -> Bool { (try? parsed(text, maximumDepth: 80).get()) != nil }
        #expect(isAccepted(nested(80)))
        #expect(!isAccepted(nested(81)))
        #expect(!isAccepted(nested(1_000_000)))
        #expect(!isAccepted(String(repeating: "[", count: 1_000_000)))
        #expect(!isAccepted(String(repeating: #"{"a":"#, count: 1_000_000)))
        // Beside each other they do not count.
        #expect(isAccepted("[" + Array(repeating: nested(79), count: 100).joined(separator: ",") + "]"))
    }

    @Test("of several fields with one name the last counts")
    func duplicateKeys() throws {
        let json = try parsed(#"{"a":1,"b":2,"a":3}"#).get()
        #expect(json["a"] == .number(3))
        #expect(json["b"] == .number(2))
        #expect(json["c"] == nil)
        #expect(try ConvexValue(decoding: json) == .object([.init(name: "a", value: .float64(3)), .init(name: "b", value: .float64(2))]))
    }

    @Test(
        "a protocol counter is a whole number from 0 to 2³²−1",
        arguments: [
            ("0", 0), ("3", 3), ("3.0", 3), ("4294967295", 4_294_967_295), ("4294967296", nil), ("-1", nil), ("2.5", nil),
            ("\"3\"", nil), ("null", nil), ("1e300", nil),
        ] as [(String, UInt32?)])
    func counters(text: String, value: UInt32?) throws {
        #expect(try parsed(text).get().counterValue == value)
    }

    @Test("a refusal says where")
    func offset() {
        #expect(parsed("[1, x]") == .failure(JSONSyntaxError(reason: "unexpected character", offset: 4)))
    }
}
