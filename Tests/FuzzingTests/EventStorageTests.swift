import Domain
import Events
import Fuzzing
import Postgres
import TestSupport
import Testing

@Suite("Storing events that were accepted", .scratchDatabase)
struct EventStorageTests {
    private let client = ScratchDatabase.current.makeClient()

    /// What PostgreSQL shows of an event, and of the same event here.
    private struct Shown: Equatable {
        var microseconds: Int64
        var type, severity: String
        var user, ip: String?
        var details: String
        var source, context: String?
    }

    /// Copies events into the table, and compares what is there then.
    private func store(_ events: [ReportedEvent]) async throws {
        var expected: [String: Shown] = [:]
        var data = BinaryCopy.header
        for var event in events {
            // Two reports of one event would be refused as such.
            event.id = nil
            var row: [UInt8] = []
            EventRow.append(event, key: nil, to: &row)
            BinaryCopy.appendFieldCount(EventRow.columnCount, to: &data)
            data += row
            let id = try EventRow.decode(row[...]).id
            expected[id.uuid.description] = Shown(
                microseconds: event.occurredAt.microseconds, type: event.type, severity: event.severity.rawValue,
                user: event.userID?.uuid.description, ip: event.ip?.description, details: event.details,
                source: event.source.isEmpty ? nil : event.source, context: event.context)
        }
        data += BinaryCopy.trailer
        let copied = try await client.withConnection { [data] connection in
            try await connection.copyIn(
                "COPY security_events (\(EventRow.columns)) FROM STDIN (FORMAT binary)", name: "test.copy"
            ) { try await $0.write(data) }
        }
        #expect(copied == events.count)

        var differences = 0
        for row in try await client.read(Self.stored()) {
            let shown = Shown(
                microseconds: try row.decode(1), type: try row.decode(2), severity: try row.decode(3), user: try row.decode(4),
                ip: try row.decode(5), details: try row.decode(6), source: try row.decode(7), context: try row.decode(8))
            if expected.removeValue(forKey: try row.decode(0)) != shown { differences += 1 }
        }
        #expect(differences == 0)
        #expect(expected.isEmpty)
    }

    private static let stored = Statement(
        "test.stored",
        """
        SELECT id::text, (extract(epoch FROM occurred_at) * 1000000)::bigint, type, severity, user_id::text, host(ip),
            metadata ->> 'details', metadata ->> 'source', metadata ->> 'context'
        FROM security_events
        """)

    @Test("PostgreSQL takes whatever the parsers accept, and shows the same")
    func hostileInputs() async throws {
        let generator = InputGenerator(seed: 15)
        let check = ParserCheck()
        var events: [ReportedEvent] = []
        var number = 0
        while events.count < 5_000 {
            // Not more of one input than of the others: some hold thousands.
            events += try check.check(generator.input(number)).prefix(4)
            number += 1
        }
        try await store(events)
    }

    @Test("PostgreSQL takes all kinds of characters and every storable moment")
    func everything() async throws {
        let moments = [-62_135_596_800_000_000, -1, 0, 946_684_800_000_000, 253_402_300_799_999_999] as [Int64]
        var events = moments.map {
            ReportedEvent(
                source: "", occurredAt: Instant(microseconds: $0), type: "t", severity: .critical, userID: UserID(.highest),
                ip: IPAddress("::"), details: "")
        }
        var scalars = String.UnicodeScalarView()
        // All of the basic plane, some of the others.
        for value in Array(UInt32(0)...0xFFFF) + Array(stride(from: 0x10000, through: 0x10FFFF, by: 0xFF)) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            scalars.append(scalar)
            if scalars.count == 1_000 {
                var event = ReportedEvent(
                    source: "s", occurredAt: Instant(microseconds: 0), type: "t", severity: .low, ip: IPAddress("255.255.255.255"),
                    details: "", context: String(scalars))
                try event.fit()
                events.append(event)
                scalars = .init()
            }
        }
        try await store(events)
    }
}
