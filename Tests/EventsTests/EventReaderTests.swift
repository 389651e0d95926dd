import Domain
import Events
import Testing
import Wire

@Suite("Reading an event")
struct EventReaderTests {
    @Test("an event in the product's own shape is read")
    func ownShape() throws {
        let event = try read(
            """
            {"id": "e-1", "source": "urn:example:gate", "timestamp": 1795399199123, "type": "authn_login_fail", "severity": "high",
             "userId": "user_01h455vb4pex5vsknk084sn02q", "ip": "203.0.113.7",
             "metadata": {"details": "Wrong password", "context": "third time"}}
            """
        ).get()
        #expect(
            event == ReportedEvent(
                source: "urn:example:gate", id: "e-1", occurredAt: Instant(milliseconds: 1_795_399_199_123),
                type: "authn_login_fail", severity: .high,
                userID: UserID("user_01h455vb4pex5vsknk084sn02q"), ip: IPAddress("203.0.113.7"),
                details: "Wrong password", context: "third time"))
    }

    @Test("what is missing is filled in: the time, the source, the details, a low severity")
    func defaults() throws {
        let event = try read(#"{"type":"sys_startup"}"#).get()
        #expect(
            event == ReportedEvent(
                source: "default", occurredAt: receivedAt, type: "sys_startup", severity: .low, details: "sys_startup"))
    }

    @Test("null and empty texts are as good as missing")
    func emptyMembers() throws {
        let event = try read(
            """
            {"type":"t","id":"","source":null,"timestamp":null,"severity":null,"userId":"","ip":"","details":"","metadata":null,
             "context":null}
            """
        ).get()
        #expect(event == ReportedEvent(source: "default", occurredAt: receivedAt, type: "t", severity: .low, details: "t"))
    }

    @Test("an event without a type is refused", arguments: ["{}", #"{"type":""}"#, #"{"type":null}"#, #"{"severity":"low"}"#])
    func missingType(json: String) {
        #expect(read(json).reason == "type is missing")
    }

    @Test("a type that is no text is refused", arguments: ["1", "[]", "{}", "true"])
    func wrongType(value: String) {
        #expect(read(#"{"type":\#(value)}"#).reason == "type is not text")
    }

    @Test(
        "severities of other vocabularies become ours",
        arguments: [
            ("critical", Severity.critical), ("high", .high), ("medium", .medium), ("low", .low), ("CRITICAL", .critical),
            ("emerg", .critical), ("alert", .critical), ("crit", .critical), ("err", .high), ("error", .high), ("warning", .medium),
            ("warn", .medium), ("Notice", .low), ("info", .low), ("Informational", .low), ("debug", .low), ("Fatal", .critical),
        ])
    func severityWords(word: String, severity: Severity) throws {
        #expect(try event(with: #""severity":"\#(word)""#).severity == severity)
    }

    @Test(
        "OCSF's numbers are read under their name",
        arguments: [
            ("0", Severity.low), ("1", .low), ("2", .low), ("3", .medium), ("4", .high), ("5", .critical), ("6", .critical),
            ("99", .low),
        ])
    func severityNumbers(number: String, severity: Severity) throws {
        #expect(try event(with: #""severity_id":\#(number)"#).severity == severity)
    }

    @Test("a severity that nobody knows is refused", arguments: [
        #""grave""#, "3", "[]", #""\#(String(repeating: "a", count: 99))""#,
    ])
    func unknownSeverity(value: String) {
        let outcome = read(#"{"type":"t","severity":\#(value)}"#)
        #expect(outcome.reason == "severity is none of critical, high, medium and low, nor a known word for one of them")
    }

    @Test("a time is a number of milliseconds or RFC 3339, under any of its names", arguments: [
        (#""timestamp":1795399199123"#, 1_795_399_199_123_000), (#""time":1795399199123.5"#, 1_795_399_199_123_500),
        (#""occurredAt":1.795399199123e12"#, 1_795_399_199_123_000),
        (#""timestamp":"2026-11-23T01:59:59.123456Z""#, 1_795_399_199_123_456),
        (#""time":"2026-11-23T02:59:59+01:00""#, 1_795_399_199_000_000),
        (#""timestamp":"no","time":1795399199000"#, 1_795_399_199_000_000),
    ] as [(String, Int64)])
    func times(member: String, microseconds: Int64) throws {
        #expect(try event(with: member).occurredAt == Instant(microseconds: microseconds))
    }

    @Test("a time far ahead or long ago is kept, and flagged", arguments: [
        (1_795_399_200_000 + 86_400_000, nil), (1_795_399_200_000 + 86_400_001, #"{"clock":"future"}"#),
        (253_402_300_799_999, #"{"clock":"future"}"#), (1_795_399_200_000 - 5 * 365 * 86_400_000, nil),
        (1_795_399_200_000 - 5 * 365 * 86_400_000 - 1, #"{"clock":"ancient"}"#), (0, #"{"clock":"ancient"}"#),
        (-62_135_596_800_000, #"{"clock":"ancient"}"#),
    ] as [(Int64, String?)])
    func oddTimes(milliseconds: Int64, context: String?) throws {
        let event = try event(with: #""timestamp":\#(milliseconds)"#)
        #expect(event.occurredAt == Instant(milliseconds: milliseconds))
        #expect(event.context == context)
    }

    @Test(
        "a time that is none, or cannot be stored, gives way to the moment of the report, and is kept in the context",
        arguments: [
            "253402300800000", "-62135596800001", "1e300", "1e999", "-1e999", #""yesterday""#, #""2026-11-23""#,
            #""0000-01-01T00:00:00Z""#, "[1]", #"{"$date":1}"#, "true",
        ])
    func unreadableTimes(value: String) throws {
        let event = try event(with: #""timestamp":\#(value)"#)
        #expect(event.occurredAt == receivedAt)
        #expect(event.context == #"{"clock":"unreadable","timestamp":\#(value)}"#)
    }

    @Test("a user is a TypeID or a UUID", arguments: [
        "user_01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057", "01890A5D-AC96-774B-BCCE-B302099A8057",
    ])
    func users(text: String) throws {
        let event = try event(with: #""userId":"\#(text)""#)
        #expect(event.userID == UserID("user_01h455vb4pex5vsknk084sn02q"))
        #expect(event.context == nil)
    }

    @Test(
        "a user or an address of another kind is kept in the context",
        arguments: [
            #""userId":"alice""#, #""userId":42"#, #""userId":"session_01h455vb4pex5vsknk084sn02q""#,
            #""userId":"01890a5dac96774bbcceb302099a8057""#, #""ip":"example.org""#, #""ip":"203.0.113.7:80""#,
            #""ip":["203.0.113.7"]"#,
        ])
    func foreignValues(member: String) throws {
        let event = try event(with: member)
        #expect(event.userID == nil)
        #expect(event.ip == nil)
        #expect(event.context == "{\(member)}")
    }

    @Test("details are the metadata's, the event's own, or its message; what is left goes into the context", arguments: [
        (#""metadata":{"details":"a"}"#, "a", nil), (#""details":"a""#, "a", nil), (#""message":"a""#, "a", nil),
        (#""message":"a","details":"b""#, "b", #"{"message":"a"}"#),
        (#""metadata":{"details":"a"},"details":"b""#, "b", #"{"details":"a"}"#),
        (#""details":{"a":1}"#, "t", #"{"details":{"a":1}}"#), (#""metadata":"text""#, "t", #"{"metadata":"text"}"#),
    ])
    func details(members: String, details: String, context: String?) throws {
        let event = try event(with: members)
        #expect(event.details == details)
        #expect(event.context == context)
    }

    @Test("the metadata's source counts if the event has none of its own")
    func metadataSource() throws {
        #expect(try event(with: #""metadata":{"source":"inner"}"#).source == "inner")
        let event = try event(with: #""source":"outer","metadata":{"source":"inner"}"#)
        #expect(event.source == "outer")
        #expect(event.context == #"{"source":"inner"}"#)
    }

    @Test("unknown members go into the context, without blanks", arguments: [
        (#""a" : [ 1 , {"b" : "c d"} ]"#, #"{"a":[1,{"b":"c d"}]}"#),
        (#""metadata":{"agent":"x","type":"inner"}"#, #"{"agent":"x","type":"inner"}"#),
        (#""metadata":{"context":"text"},"a":1"#, #"{"context":"text","a":1}"#),
        (#""metadata":{"context":{"b" : 2}}"#, #"{"b":2}"#),
        (#""metadata":{"context":{"b":2},"c":3},"a":1"#, #"{"b":2,"a":1,"c":3}"#),
        (#""metadata":{"context":"{\"b\": 2}"},"a":1"#, #"{"b":2,"a":1}"#),
        (#""metadata":{"context":"{\"b\": 2}"}"#, #"{"b": 2}"#),
        (#""metadata":{"context":"{}"},"a":1"#, #"{"a":1}"#),
        (#""metadata":{"context":"{\"b\""},"a":1"#, #"{"context":"{\"b\"","a":1}"#),
        (#""metadata":{"context":[1,2]}"#, #"{"context":[1,2]}"#),
        (#""context":"text","timestamp":0"#, #"{"clock":"ancient","context":"text"}"#),
        (#""context":{"b":2},"timestamp":0"#, #"{"clock":"ancient","b":2}"#),
        (#""specVersion":"1.0","data":{"ip":"::1"}"#, #"{"specVersion":"1.0","data":{"ip":"::1"}}"#),
    ])
    func context(members: String, context: String) throws {
        #expect(try event(with: members).context == context)
    }

    @Test("of several members with one name the last counts")
    func repeatedMembers() throws {
        let event = try read(
            #"{"type":"a","id":"1","details":"x","userId":"alice","type":"b","id":2,"details":null,"userId":null}"#
        ).get()
        #expect(event == ReportedEvent(source: "default", id: "2", occurredAt: receivedAt, type: "b", severity: .low, details: "b"))
    }

    @Test("names may be written with escapes")
    func escapedNames() throws {
        #expect(try read(#"{"\u0074ype":"t","\u0069p":"::1"}"#).get().ip == IPAddress("::1"))
    }

    @Test("escapes in texts are read", arguments: [
        (#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{C}\n\r\t"), (#"\u00e9é"#, "éé"), (#"\ud83d\ude00"#, "😀"),
    ])
    func escapes(text: String, expected: String) throws {
        #expect(try event(with: #""details":"\#(text)""#).details == expected)
    }

    @Test("NUL and halves of surrogate pairs come out as U+FFFD", arguments: [
        (#"a\u0000b"#, "a\u{FFFD}b"), (#"\ud800"#, "\u{FFFD}"), (#"\udc00x"#, "\u{FFFD}x"),
        (#"\ud800\ud800\udc00"#, "\u{FFFD}\u{10000}"), (#"\ud800\u0041"#, "\u{FFFD}A"), (#"\uD800\\"#, "\u{FFFD}\\"),
    ])
    func brokenEscapes(text: String, expected: String) throws {
        let event = try event(with: #""details":"\#(text)","a\u0000":["\#(text)"]"#)
        #expect(event.details == expected)
        // The context is JSON too, and someone may read it as such.
        let context = try #require(event.context)
        #expect(try JSON(parsing: context.utf8) == .object([.init(key: "a\u{FFFD}", value: .array([.string(expected)]))]))
    }

    @Test("bytes that are not UTF-8 come out as U+FFFD, wherever they are", arguments: [
        [0xFF], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
    ] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) throws {
        let json =
            Array(#"{"type":"t"#.utf8) + bytes + Array(#"","details":"x\n"#.utf8) + bytes + Array(#"","a"#.utf8) + bytes
            + Array(#"":""#.utf8) + bytes + Array(#""}"#.utf8)
        let replaced = String(decoding: bytes, as: UTF8.self)
        let event = try read(json).get()
        #expect(event.type == "t" + replaced)
        #expect(event.details == "x\n" + replaced)
        #expect(event.context == #"{"a\#(replaced)":"\#(replaced)"}"#)
    }

    @Test(
        "what is no JSON is refused, and the reason says where",
        arguments: [
            ("", "unexpected end at byte 0"), ("  ", "unexpected end at byte 2"),
            (#"{"type":"t""#, "',' or '}' is missing at byte 11"),
            (#"{"type":"t"} x"#, "unexpected text after the value at byte 13"),
            (#"{"type":"t",}"#, "a field name is missing at byte 12"),
            (#"{"type" "t"}"#, "':' is missing at byte 8"), (#"{"type":tru}"#, "unexpected character at byte 11"),
            (#"{"type":'t'}"#, "unexpected character at byte 8"), (#"{"type":"t","a":01}"#, "',' or '}' is missing at byte 17"),
            (#"{"type":"t","a":1.}"#, "a digit is missing at byte 18"), (#"{"type":"\x"}"#, "unknown escape at byte 10"),
            (#"{"type":"\u12"}"#, "a hexadecimal digit is missing at byte 13"),
            ("{\"type\":\"\n\"}", "control character in a string at byte 9"),
            ("{\"type\":\"\0\"}", "control character in a string at byte 9"),
            (#"{"type":"t","a":[1 2]}"#, "',' or ']' is missing at byte 19"),
            ("\0", "unexpected character at byte 0"), (#"{"type":"t"}"# + "\0", "unexpected text after the value at byte 12"),
            (#"{"type":"t""# + "\0", "',' or '}' is missing at byte 11"),
        ])
    func syntax(json: String, reason: String) {
        #expect(read(json).reason == "not JSON: " + reason)
    }

    @Test("other JSON than an object is refused", arguments: ["[]", "1", #""type""#, "null", #"[{"type":"t"}]"#])
    func notAnObject(json: String) {
        #expect(read(json).reason == "not a JSON object")
    }

    @Test("objects may be nested 32 deep")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            #"{"type":"t","a":"# + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
        }
        #expect(try read(nested(32)).get().type == "t")
        #expect(read(nested(33)).reason == "nested deeper than 32 levels")
        #expect(read(String(repeating: "[", count: 60_000)).reason == "nested deeper than 32 levels")
    }
}
