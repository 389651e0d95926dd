import Domain
import Events
import Testing

@Suite("Limits of an event")
struct EventLimitsTests {
    @Test("a report may have 64 KiB")
    func report() throws {
        let empty = #"{"type":"t","a":""}"#
        let room = EventLimits.report - empty.utf8.count
        func json(_ length: Int) -> String { #"{"type":"t","a":"\#(String(repeating: "x", count: length))"}"# }
        #expect(try read(json(room)).get().context?.utf8.count == EventLimits.context)
        #expect(read(json(room + 1)).reason == "the event is longer than 65536 bytes")
    }

    @Test("what names things is refused when it is too long", arguments: [("type", 128), ("source", 256), ("id", 256)])
    func names(name: String, limit: Int) throws {
        func json(_ length: Int) -> String { #"{"type":"t","\#(name)":"\#(String(repeating: "x", count: length))"}"# }
        #expect(read(json(limit)).reason == nil)
        #expect(read(json(limit + 1)).reason == "\(name) is longer than \(limit) bytes")
        // A character that takes more bytes once it has been replaced.
        #expect(read(#"{"type":"t","\#(name)":"\#(String(repeating: "x", count: limit - 2) + #"\u0000"#)"}"#).reason != nil)
    }

    @Test("nobody reports under the name of raised events, which rules do not look at")
    func reservedSource() {
        #expect(read(#"{"type":"t","source":"attune:detection"}"#).reason == "the source attune:detection is for events that rules raise")
    }

    @Test("longer details are cut before a character and say so", arguments: ["x", "é", "€", "😀"])
    func details(character: String) throws {
        let size = character.utf8.count
        for length in (EventLimits.details / size - 2)...(EventLimits.details / size + 2) {
            let text = String(repeating: character, count: length)
            let details = try event(with: #""details":"\#(text)""#).details
            if length * size <= EventLimits.details {
                #expect(details == text)
            } else {
                #expect(details.utf8.count <= EventLimits.details && details.utf8.count > EventLimits.details - size - 3)
                #expect(details.hasSuffix("…"))
                #expect(text.hasPrefix(details.dropLast()))
            }
        }
    }

    @Test("a longer context is cut, and keeps what we say in it")
    func context() throws {
        let long = String(repeating: "x", count: 40_000)
        let context = try #require(try event(with: #""context":"\#(long)","timestamp":0"#).context)
        #expect(context.utf8.count == EventLimits.context)
        #expect(context.hasPrefix(#"{"clock":"ancient","context":"xxx"#))
        #expect(context.hasSuffix("x…"))
    }

    @Test("an event made elsewhere is made to fit; a second time changes nothing")
    func fit() throws {
        var event = ReportedEvent(
            source: "a\0b", id: "\0", occurredAt: receivedAt, type: "t\0", severity: .low,
            details: String(repeating: "\0", count: 5_000), context: "\0" + String(repeating: "é", count: 20_000))
        try event.fit()
        #expect(event.source == "a\u{FFFD}b")
        #expect(event.id == "\u{FFFD}")
        #expect(event.type == "t\u{FFFD}")
        #expect(event.details.utf8.count <= EventLimits.details && event.details.hasSuffix("\u{FFFD}…"))
        #expect(event.context?.utf8.count ?? 0 <= EventLimits.context)
        let before = event
        try event.fit()
        #expect(event == before)
    }

    @Test("the clock of an event made elsewhere is flagged")
    func clock() {
        func flagged(_ occurredAt: Instant, _ context: String?) -> ReportedEvent {
            var event = ReportedEvent(
                source: "s", occurredAt: occurredAt, type: "t", severity: .low, details: "d", context: context)
            event.flagClock(receivedAt: receivedAt)
            return event
        }
        #expect(flagged(receivedAt, "a").context == "a")
        #expect(flagged(Instant(microseconds: 0), nil).context == #"{"clock":"ancient"}"#)
        #expect(flagged(Instant(microseconds: 0), #"{"a":1}"#).context == #"{"clock":"ancient","a":1}"#)
        #expect(flagged(receivedAt + .seconds(86_401), "a").context == #"{"clock":"future","context":"a"}"#)
        let unstorable = flagged(Instant(microseconds: .max), "a")
        #expect(unstorable.occurredAt == receivedAt)
        #expect(unstorable.context == #"{"clock":"unreadable","timestamp":9223372036854775,"context":"a"}"#)
    }
}
