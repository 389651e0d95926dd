import Domain
import Events
import Testing

/// What a body's reports come to: the type of an event, or `raw: reason` of what is refused.
private func outcomes(_ body: String, _ format: EventBody.Format) -> [String] { outcomes(Array(body.utf8), format) }

private func outcomes(_ body: [UInt8], _ format: EventBody.Format) -> [String] {
    let reports = EventBody(body, format: format, reader: EventReader(defaultSource: "default"), receivedAt: receivedAt)
    return reports.enumerated().map { place, report in
        guard report.index == place else { return "out of order" }
        switch report.result {
        case .success(let event): return event.type
        case .failure(let rejection): return String(decoding: body[report.raw], as: UTF8.self) + ": " + rejection.reason
        }
    }
}

@Suite("The body of a request")
struct EventBodyTests {
    @Test("its media type says what it holds", arguments: [
        ("application/json", EventBody.Format.json), ("Application/JSON; charset=utf-8", .json),
        ("application/cloudevents+json", .json), ("application/cloudevents-batch+json;charset=UTF-8", .json),
        ("application/x-ndjson", .lines), ("application/jsonl ; a=b", .lines),
        ("text/plain", nil), ("", nil), ("application/x-www-form-urlencoded", nil),
    ])
    func format(contentType: String, format: EventBody.Format?) {
        #expect(EventBody.Format(contentType: contentType) == format)
    }

    @Test("JSON is one event or an array of them", arguments: [
        (#"{"type":"a"}"#, ["a"]), ("\u{FEFF} {\"type\":\"a\"}\r\n", ["a"]), (#"[{"type":"a"},{"type":"b"}]"#, ["a", "b"]),
        ("\u{FEFF}\n[ {\"type\":\"a\"} ,\n {\"type\":\"b\"} ] \n", ["a", "b"]), ("[]", []), (" [ ] ", []),
        ("", [": not JSON: unexpected end at byte 0"]), ("1", ["1: not a JSON object"]),
        (#"{"type":"a"}{"type":"b"}"#, [#"{"type":"a"}{"type":"b"}: not JSON: unexpected text after the value at byte 12"#]),
    ])
    func json(body: String, expected: [String]) {
        #expect(outcomes(body, .json) == expected)
    }

    @Test("elements of an array are refused one by one")
    func elements() {
        let tooDeep = String(repeating: "[", count: 40) + "\"]\"" + String(repeating: "]", count: 40)
        #expect(
            outcomes(#"[{"type":"a"},{},1,[{"type":"x"}],\#(tooDeep),{"type":"b","x":\#(tooDeep)},{"type":"c"}]"#, .json) == [
                "a", "{}: type is missing", "1: not a JSON object", #"[{"type":"x"}]: not a JSON object"#,
                tooDeep + ": nested deeper than 32 levels", #"{"type":"b","x":\#(tooDeep)}: nested deeper than 32 levels"#, "c",
            ])
        let long = #"{"type":"a","x":"\#(String(repeating: "x", count: EventLimits.report))"}"#
        #expect(outcomes("[\(long),{\"type\":\"b\"}]", .json) == [long + ": the event is longer than 65536 bytes", "b"])
    }

    @Test("where an array breaks, the elements before stand and the rest is refused", arguments: [
        (#"[{"type":"a"},{"type":"b""#, ["a", #"{"type":"b": not JSON: ',' or '}' is missing at byte 25"#]),
        (#"[{"type":"a"} {"type":"b"}]"#, ["a", #"{"type":"b"}]: not JSON: ',' or ']' is missing at byte 14"#]),
        (#"[{"type":"a"},]"#, ["a", "]: not JSON: unexpected character at byte 14"]),
        (#"[{"type":"a"}"#, ["a", ": not JSON: ',' or ']' is missing at byte 13"]),
        (#"[{"type":"a"}] x"#, ["a", "x: not JSON: unexpected text after the array at byte 15"]),
        ("[", [": not JSON: unexpected end at byte 1"]), ("[,", [",: not JSON: unexpected character at byte 1"]),
        ("[" + String(repeating: "[", count: 99), [String(repeating: "[", count: 99) + ": nested deeper than 32 levels"]),
    ])
    func brokenArray(body: String, expected: [String]) {
        #expect(outcomes(body, .json) == expected)
    }

    @Test("lines are read one by one; empty ones are skipped")
    func lines() {
        #expect(
            outcomes("\u{FEFF}{\"type\":\"a\"}\r\n\n  \r\n{\"type\":\"b\"\n[]\n\t{\"type\":\"c\"} \n{\"type\":\"d\"}", .lines) == [
                "a", "{\"type\":\"b\": not JSON: ',' or '}' is missing at byte 11", "[]: not a JSON object", "c", "d",
            ])
        #expect(outcomes("", .lines) == [])
        #expect(outcomes("\n \r\n", .lines) == [])
        let long = String(repeating: "x", count: 1 << 20)
        #expect(outcomes(long + "\n{\"type\":\"a\"}\n", .lines) == [long + ": the event is longer than 65536 bytes", "a"])
    }

    @Test("a line or an array may hold structured CloudEvents")
    func cloudEvents() {
        let event = #"{"specversion":"1.0","type":"a","id":"1","source":"s","data":{"severity":"low"}}"#
        #expect(outcomes(event + "\n" + event, .lines) == ["a", "a"])
        #expect(outcomes("[\(event)]", .json) == ["a"])
    }
}
