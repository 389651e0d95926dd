import Domain
import Events
import Foundation
import Logging
import Postgres
import Spool
import TestSupport

@testable import Delivery

/// A folder for one test's spools, deleted with it.
final class ScratchFolder: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "attune-delivery-\(UUID().uuidString)").path

    init() {
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func spool(_ name: String = "test", budget: Int = 1 << 30) throws -> EventSpool {
        try EventSpool(folder: path + "/" + name, budget: budget, logger: .quiet)
    }

    /// Copies a spool as it lies on the disk, as a crash would leave it. The copy is the same spool to PostgreSQL.
    func copySpool(_ name: String, to copy: String) throws {
        try FileManager.default.copyItem(atPath: path + "/" + name, toPath: path + "/" + copy)
    }
}

/// The event that a source names by this number. All that was reported of it at any time is the same.
func event(_ number: Int, of source: String = "test", type: String = SecurityEventType.loginFail) -> ReportedEvent {
    ReportedEvent(
        source: source, id: "\(number)", occurredAt: Instant(microseconds: 1_790_000_000_000_000 + Int64(number) * 1_000),
        type: type, severity: .medium, ip: IPAddress("192.0.2.\(number % 250)"), details: "Event \(number) of \(source).")
}

extension IntakeBatch {
    init(_ numbers: some Sequence<Int>, of source: String = "test", input: Input = .http) throws {
        self.init()
        for number in numbers { try add(event(number, of: source), input: input) }
    }
}

extension EventSpool {
    /// Puts records into the spool without comparing them with others.
    @discardableResult
    func store(_ events: [ReportedEvent], input: Input = .http) async throws -> UInt64 {
        var records = RecordBatch()
        var received = PerInput(repeating: 0)
        for event in events {
            try records.append { try SpoolEntry.append(event, key: event.key, input: input, to: &$0) }
            received[input] += 1
        }
        ledger.receive(received)
        let end = try spool.append(records)
        try await spool.waitUntilDurable(end)
        return end
    }

    func delivery(to client: PostgresClient, _ configure: (inout EventDelivery.Configuration) -> Void = { _ in }) -> EventDelivery {
        var configuration = EventDelivery.Configuration()
        configuration.maximumDelay = .milliseconds(50)
        configure(&configuration)
        return EventDelivery(self, client: client, configuration: configuration, metrics: nil, logger: .quiet)
    }
}

extension PostgresClient {
    func count(_ sql: String) async throws -> Int {
        try await read(Statement("test.count", sql)()).first?.decode(0) ?? 0
    }

    func text(_ sql: String) async throws -> String? {
        try await read(Statement("test.text", sql)()).first?.decode(0)
    }

    func run(_ sql: String) async throws {
        try await withConnection { _ = try await $0.runScript(sql, name: "test.script") }
    }

    /// How many events there are, and how many different ones by what they say.
    func storedEvents() async throws -> (all: Int, different: Int) {
        let row = try await read(
            Statement("test.stored", "SELECT count(*), count(DISTINCT metadata ->> 'details') FROM security_events")()).first
        return (try row?.decode(0) ?? 0, try row?.decode(1) ?? 0)
    }

    /// The table's ledger of one spool.
    func ledger(of spool: EventSpool) async throws -> [String: LedgerCounts] {
        let statement = Statement(
            "test.ledger",
            """
            SELECT input, stored, duplicates, dead_lettered, spooled FROM ingest_ledger WHERE spool_id = $1
            """)
        var ledger: [String: LedgerCounts] = [:]
        for row in try await read(statement(UUIDBits(high: spool.spool.id.high, low: spool.spool.id.low))) {
            ledger[try row.decode(0)] = LedgerCounts(
                stored: try row.decode(1), duplicates: try row.decode(2), deadLettered: try row.decode(3),
                spooled: try row.decode(4))
        }
        return ledger
    }
}

extension LedgerSnapshot {
    var byInput: [String: LedgerCounts] { Dictionary(uniqueKeysWithValues: lines.map { ($0.input, $0.counts) }) }
}

/// Runs `body` while the delivery runs, and stops it afterwards.
func whileDelivering(_ delivery: EventDelivery, _ body: () async throws -> Void) async throws {
    let running = Task { try? await delivery.run() }
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
    running.cancel()
    await running.value
    try outcome.get()
}
