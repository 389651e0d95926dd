import Testing
import Wire

private func written(_ format: JSONWriter.ValueFormat = .convexEncoded, _ write: (inout JSONWriter) -> Void) -> String {
    String(decoding: JSONWriter.bytes(format: format, write), as: UTF8.self)
}

@Suite("Writing JSON")
struct JSONWriterTests {
    @Test(
        "a float64 has a point or an exponent, and reads back as itself",
        arguments: [
            (3, "3.0"), (0, "0.0"), (-7, "-7.0"), (0.1, "0.1"), (-1.5, "-1.5"), (1_700_000_000_123, "1700000000123.0"),
            (999_999_999_999_999, "999999999999999.0"), (1e15, "1000000000000000.0"), (1e16, "1e+16"), (1e21, "1e+21"), (5e-324, "5e-324"), (1e-7, "1e-07"),
            (.greatestFiniteMagnitude, "1.7976931348623157e+308"), (9_007_199_254_740_993, "9007199254740992.0"),
        ] as [(Double, String)])
    func float64(value: Double, text: String) throws {
        let encoded = written { $0.float64(value) }
        let plain = written(.plain) { $0.float64(value) }
        #expect(encoded == text)
        #expect(plain == text)
        #expect(try JSON(parsing: encoded.utf8) == .number(value))
    }

    @Test(
        "what JSON has no number for takes Convex's forms",
        arguments: [
            (.nan, #"{"$float":"AAAAAAAA+H8="}"#, #""NaN""#),
            (-0.0, #"{"$float":"AAAAAAAAAIA="}"#, "-0.0"),
            (.infinity, #"{"$float":"AAAAAAAA8H8="}"#, #""Infinity""#),
            (-.infinity, #"{"$float":"AAAAAAAA8P8="}"#, #""-Infinity""#),
        ] as [(Double, String, String)])
    func specialFloats(value: Double, encoded: String, plain: String) {
        let forms = [JSONWriter.ValueFormat.convexEncoded, .plain].map { format in written(format) { $0.float64(value) } }
        #expect(forms == [encoded, plain])
    }

    @Test("an envelope's counter has neither point nor exponent", arguments: [0, 3, 4_294_967_295, 1_700_000_000_123_456_789, -5] as [Int64])
    func integer(value: Int64) {
        let text = written { $0.integer(value) }
        #expect(text == String(value))
    }

    @Test(
        "a string is escaped where JSON needs it and nowhere else",
        arguments: [
            ("", #""""#), (#"a"b\c/d"#, #""a\"b\\c/d""#), ("\n\r\t", #""\n\r\t""#), ("\0\u{8}\u{C}\u{1F}", #""\u0000\u0008\u000c\u001f""#),
            ("é😀\u{2028}\u{7F}", "\"é😀\u{2028}\u{7F}\""), ("e\u{301}", "\"e\u{301}\""),
        ])
    func strings(value: String, text: String) throws {
        let encoded = written { $0.string(value) }
        // Byte for byte: Swift takes different spellings of one character for equal.
        #expect(Array(encoded.utf8) == Array(text.utf8))
        let read = try #require(try JSON(parsing: encoded.utf8).stringValue)
        #expect(Array(read.utf8) == Array(value.utf8))
    }

    @Test("commas stand between values and nowhere else")
    func commas() {
        let text = written { writer in
            writer.beginObject()
            writer.key("a")
            writer.beginArray()
            writer.endArray()
            writer.key("b")
            writer.beginArray()
            writer.beginObject()
            writer.endObject()
            writer.null()
            writer.bool(true)
            writer.raw("[1]".utf8)
            writer.plainString { $0.append(contentsOf: "id".utf8) }
            writer.endArray()
            writer.key("c")
            writer.null()
            writer.endObject()
        }
        #expect(text == #"{"a":[],"b":[{},null,true,[1],"id"],"c":null}"#)
    }
}
