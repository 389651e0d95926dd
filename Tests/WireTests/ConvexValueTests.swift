import Testing
@testable import Wire

/// The value behind Convex's JSON, or why there is none.
private func decoded(_ text: String) -> Result<ConvexValue, ConvexValueError> {
    do {
        return .success(try ConvexValue(decoding: JSON(parsing: text.utf8)))
    } catch let error as ConvexValueError {
        return .failure(error)
    } catch {
        return .failure(ConvexValueError(description: "not JSON: \(error)"))
    }
}

private func encoded(_ value: ConvexValue, _ format: JSONWriter.ValueFormat = .convexEncoded) -> String {
    String(decoding: JSONWriter.bytes(format: format) { value.encode(into: &$0) }, as: UTF8.self)
}

@Suite("Convex values")
struct ConvexValueTests {
    @Test(
        "every type has its form in both formats, and the encoded one reads back",
        arguments: [
            (.null, "null", "null"),
            (.bool(true), "true", "true"),
            (.float64(3), "3.0", "3.0"),
            (.float64(.infinity), #"{"$float":"AAAAAAAA8H8="}"#, #""Infinity""#),
            (.int64(5), #"{"$integer":"BQAAAAAAAAA="}"#, #""5""#),
            (.int64(-1), #"{"$integer":"//////////8="}"#, #""-1""#),
            (.int64(.min), #"{"$integer":"AAAAAAAAAIA="}"#, #""-9223372036854775808""#),
            (.string("é"), #""é""#, #""é""#),
            (.bytes([]), #"{"$bytes":""}"#, #""""#),
            (.bytes([251, 255]), #"{"$bytes":"+/8="}"#, #""+/8=""#),
            (.array([.null, .float64(0.5)]), "[null,0.5]", "[null,0.5]"),
            (.object([]), "{}", "{}"),
            (
                .object([.init(name: "a", value: .int64(0)), .init(name: "b", value: .object([]))]),
                #"{"a":{"$integer":"AAAAAAAAAAA="},"b":{}}"#, #"{"a":"0","b":{}}"#
            ),
        ] as [(ConvexValue, String, String)])
    func forms(value: ConvexValue, encodedText: String, plainText: String) {
        #expect(encoded(value) == encodedText)
        #expect(encoded(value, .plain) == plainText)
        #expect(decoded(encodedText) == .success(value))
    }

    @Test("`$float` may hold NaN, an infinity or −0")
    func specialFloats() throws {
        let nan = try decoded(#"{"$float":"AAAAAAAA+H8="}"#).get()
        let zero = try decoded(#"{"$float":"AAAAAAAAAIA="}"#).get()
        guard case .float64(let nanValue) = nan, case .float64(let zeroValue) = zero else {
            Issue.record("not float64: \(nan), \(zero)")
            return
        }
        #expect(nanValue.isNaN)
        #expect(zeroValue == 0 && zeroValue.sign == .minus)
    }

    @Test(
        "what is no Convex value is refused",
        arguments: [
            // An ordinary number as $float: 1.0, and 0.
            #"{"$float":"AAAAAAAA8D8="}"#, #"{"$float":"AAAAAAAAAAA="}"#, #"{"$float":1}"#, #"{"$float":"AAAA"}"#,
            #"{"$integer":"5"}"#, #"{"$integer":5}"#, #"{"$integer":"BQAAAAAAAA=="}"#, #"{"$integer":"BQAAAAAAAAA"}"#,
            #"{"$bytes":"a"}"#, #"{"$bytes":"-_8="}"#, #"{"$bytes":null}"#,
            #"{"$set":[]}"#, #"{"$map":[]}"#, #"{"$commitTs":null}"#, #"{"$x":1}"#, #"{"$":1}"#,
            #"{"$integer":"BQAAAAAAAAA=","a":1}"#, #"{"a":1,"$b":2}"#, #"{"$bytes":"","$bytes":""}"#,
            #"{"é":1}"#, "{\"a\\u0000\":1}", "{\"a\\n\":1}", #"{"😀":1}"#,
            #"["\ud800"]"#, #"{"a":"\udfff"}"#,
        ])
    func refused(text: String) {
        #expect((try? decoded(text).get()) == nil)
    }

    @Test("values have the real service's limits")
    func limits() {
        func isAccepted(_ text: String) -> Bool { (try? decoded(text).get()) != nil }
        func numbers(_ count: Int) -> String { "[" + Array(repeating: "0", count: count).joined(separator: ",") + "]" }
        func fields(_ count: Int) -> String { "{" + (0..<count).map { "\"f\($0)\":0" }.joined(separator: ",") + "}" }
        func nested(_ count: Int) -> String { String(repeating: "[", count: count) + String(repeating: "]", count: count) }
        #expect(isAccepted(numbers(8192)))
        #expect(!isAccepted(numbers(8193)))
        #expect(isAccepted(fields(1024)))
        #expect(!isAccepted(fields(1025)))
        #expect(isAccepted(nested(64)))
        #expect(!isAccepted(nested(65)))
        #expect(isAccepted("{\"\(String(repeating: "a", count: 1024))\":0}"))
        #expect(!isAccepted("{\"\(String(repeating: "a", count: 1025))\":0}"))
    }

    @Test("fields come in the order of their names")
    func order() throws {
        let value = try decoded(#"{"b":1,"a":2,"B":3}"#).get()
        #expect(encoded(value) == #"{"B":3.0,"a":2.0,"b":1.0}"#)
    }
}

@Suite("Base64")
struct Base64Tests {
    @Test(
        "the test vectors of RFC 4648 hold in both directions",
        arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")])
    func vectors(plain: String, text: String) {
        #expect(String(decoding: Base64.encode(plain.utf8), as: UTF8.self) == text)
        #expect(Base64.decode(text) == Array(plain.utf8))
    }

    @Test(
        "a text that is not the one canonical form is refused",
        arguments: ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "=Zg=", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm9-", "Zm9_", "Zmé="])
    func malformed(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test("the URL-safe form has no padding and its own two characters")
    func urlSafe() {
        #expect(String(decoding: Base64.encodeURLSafe([251, 255]), as: UTF8.self) == "-_8")
        #expect(Base64.decodeURLSafe("-_8") == [251, 255])
        #expect(Base64.decodeURLSafe("-_8=") == nil)
        #expect(Base64.decodeURLSafe("+/8") == nil)
        #expect(Base64.decodeURLSafe("-_9") == nil)
    }

    @Test(
        "a timestamp is eight bytes, the lowest first",
        arguments: [(0, "AAAAAAAAAAA="), (1234, "0gQAAAAAAAA="), (.max, "//////////8=")] as [(UInt64, String)])
    func timestamps(value: UInt64, text: String) {
        #expect(String(decoding: Base64.encode(littleEndian: value), as: UTF8.self) == text)
        #expect(Base64.decode(littleEndian: text) == value)
        #expect(Base64.decode(littleEndian: "AAAAAAAAAA==") == nil)
        #expect(Base64.decode(littleEndian: "AAAAAAAAAAAA") == nil)
    }
}

@Suite("Function names")
struct FunctionPathTests {
    @Test(
        "all forms of a name are one function",
        arguments: [
            (["messages:list", "messages.js:list"], "messages:list", "messages.js:list"),
            (["admin/users:list", "admin/users.js:list"], "admin/users:list", "admin/users.js:list"),
            (["mod", "mod:default", "mod.js", "mod.js:default"], "mod", "mod.js:default"),
        ])
    func forms(names: [String], canonical: String, inFile: String) {
        let paths = Set(names.map { FunctionPath($0) })
        #expect(paths.count == 1)
        #expect(paths.first??.description == canonical)
        #expect(paths.first??.inFile == inFile)
    }

    @Test(
        "what cannot be a name is none",
        arguments: [
            "", ":", ":list", "messages:", "/messages:list", "messages/:list", "a//b:c", "../etc:passwd", "messages:li st", "messages:1st",
            "messages:li-st", "mess-ages:list", "messages:list:", "___:list", "é:list", "messages:\0", "messages.ts/:x",
            String(repeating: "a", count: 62) + ":list", "messages:" + String(repeating: "a", count: 65),
            String(repeating: "a/", count: 1000) + "a:b",
        ])
    func malformed(name: String) {
        #expect(FunctionPath(name) == nil)
    }
}
