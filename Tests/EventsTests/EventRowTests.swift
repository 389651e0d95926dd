import Domain
import Events
import Testing

private func row(_ event: ReportedEvent) -> [UInt8] {
    var bytes: [UInt8] = []
    EventRow.append(event, key: event.key, to: &bytes)
    return bytes
}

@Suite("An event as a row")
struct EventRowTests {
    private let event = ReportedEvent(
        source: "urn:example", id: "1", occurredAt: receivedAt, type: "authn_login_fail", severity: .high,
        userID: UserID("user_01h455vb4pex5vsknk084sn02q"), ip: IPAddress("203.0.113.7"), details: "No \"entry\"", context: "x\ny")

    @Test("a row reads as the event it was made from, without the id of the report")
    func roundTrip() throws {
        var six = event
        six.ip = IPAddress("2001:db8::1")
        let least = ReportedEvent(source: "", occurredAt: Instant(microseconds: -1), type: "t", severity: .low, details: "")
        for event in [event, six, least] {
            var expected = event
            expected.id = nil
            #expect(try EventRow.decode(row(event)[...]).event == expected)
        }
    }

    @Test("all reports of an event make the same row, whose id sorts by the event's time")
    func identity() throws {
        #expect(row(event) == row(event))
        let id = try EventRow.decode(row(event)[...]).id
        #expect(id.uuid.high >> 16 == UInt64(receivedAt.microseconds / 1_000))
        #expect(id.uuid.high >> 12 & 0xF == 7 && id.uuid.low >> 62 == 2)
        var other = event
        other.id = "2"
        #expect(try EventRow.decode(row(other)[...]).id != id)
    }

    @Test("without an id each report is an event of its own")
    func anonymous() throws {
        var anonymous = event
        anonymous.id = nil
        #expect(anonymous.key == nil)
        #expect(try EventRow.decode(row(anonymous)[...]).id != EventRow.decode(row(anonymous)[...]).id)
    }

    @Test("the key is the beginning of SHA-256 over source, zero byte and id")
    func key() {
        // printf 'urn:example\0001' | sha256sum
        #expect(event.key?.description == "57a59304-af97-7f83-65e8-bec77f2381ae")
    }

    @Test("a row that is cut off, or none, is refused")
    func broken() {
        let whole = row(event)
        for length in 0..<whole.count {
            #expect(throws: EventRowError.self) { try EventRow.decode(whole[..<length]) }
        }
        #expect(throws: EventRowError.self) { try EventRow.decode(Array(repeating: 0xFE, count: 300)[...]) }
    }
}

@Suite("A record of the spool")
struct SpoolEntryTests {
    private let event = ReportedEvent(source: "s", id: "1", occurredAt: receivedAt, type: "t", severity: .low, details: "d")

    @Test("reads as what was written", arguments: Input.allCases)
    func roundTrip(input: Input) throws {
        var bytes: [UInt8] = []
        try SpoolEntry.append(event, key: event.key, input: input, to: &bytes)
        #expect(try SpoolEntry(decoding: bytes[...]) == .event(input: input, key: event.key, row: row(event)[...]))

        bytes = []
        SpoolEntry.appendRejected(input: input, at: receivedAt, rejection: EventRejection("é"), raw: [1, 2, 3], to: &bytes)
        #expect(try SpoolEntry(decoding: bytes[...]) == .rejected(input: input, at: receivedAt, reason: "é", raw: [1, 2, 3]))

        bytes = []
        SpoolEntry.appendDuplicates(70_000, input: input, to: &bytes)
        #expect(try SpoolEntry(decoding: bytes[...]) == .duplicates(input: input, count: 70_000))
    }

    @Test("has no key for an event without an id")
    func withoutKey() throws {
        var anonymous = event
        anonymous.id = nil
        var bytes: [UInt8] = []
        try SpoolEntry.append(anonymous, key: anonymous.key, input: .http, to: &bytes)
        guard case .event(.http, nil, let row) = try SpoolEntry(decoding: bytes[...]) else {
            Issue.record("not an event without a key")
            return
        }
        #expect(try EventRow.decode(row).event == anonymous)
    }

    @Test("is not written for an event that breaks a limit")
    func unfit() {
        var unfit = event
        unfit.type = ""
        var bytes: [UInt8] = [1]
        #expect(throws: EventRejection("type is missing")) { try SpoolEntry.append(unfit, key: nil, input: .http, to: &bytes) }
        #expect(bytes == [1])
    }

    @Test("keeps 64 KiB of what was refused")
    func raw() throws {
        var bytes: [UInt8] = []
        SpoolEntry.appendRejected(
            input: .tcp, at: receivedAt, rejection: EventRejection("r"), raw: Array(repeating: 7, count: 1 << 20), to: &bytes)
        let raw = Array(repeating: UInt8(7), count: 1 << 16)[...]
        #expect(try SpoolEntry(decoding: bytes[...]) == .rejected(input: .tcp, at: receivedAt, reason: "r", raw: raw))
    }

    @Test("that is none of ours is refused", arguments: [
        [], [1], [9, 1], [1, 99], [1, 1, 0], [2, 1, 0], [3, 1, 0], [3, 1, 0, 0, 0, 1, 0],
    ] as [[UInt8]])
    func broken(bytes: [UInt8]) {
        #expect(throws: SpoolEntryError.self) { try SpoolEntry(decoding: bytes[...]) }
    }
}
