import Domain
import Events
import Foundation
import Postgres
import Spool
import TestSupport
import Testing

@testable import Delivery

@Suite("Delivery", .scratchDatabase, .timeLimit(.minutes(2)))
struct EventDeliveryTests {
    private let folder = ScratchFolder()
    private let client = ScratchDatabase.current.makeClient()

    private func deliver(_ spool: EventSpool, _ configure: (inout EventDelivery.Configuration) -> Void = { _ in }) async throws {
        try await spool.delivery(to: client, configure).deliverAll()
    }

    /// What must hold when all has been delivered.
    private func checkLedger(_ spool: EventSpool, _ expected: [String: LedgerCounts]) async throws {
        #expect(spool.ledger.snapshot().byInput == expected)
        #expect(try await client.ledger(of: spool) == expected)
    }

    @Test("stores what comes in, at once, in the order of its batches, and lets the spool forget it")
    func stores() async throws {
        let spool = try folder.spool()
        let intake = Intake(spool)
        try await whileDelivering(spool.delivery(to: client)) {
            for number in 1...20 { _ = try await intake.accept(IntakeBatch([number])) }
            _ = try await intake.accept(IntakeBatch(21...3000, input: .tcp))
            try await eventually("all is stored") { try await client.storedEvents().all == 3000 }
            try await checkLedger(spool, ["http": LedgerCounts(stored: 20), "tcp": LedgerCounts(stored: 2980)])
        }
        let row = try #require(
            try await client.read(
                Statement(
                    "test.row",
                    """
                    SELECT type, severity, host(ip), metadata ->> 'details', metadata ->> 'source', occurred_at
                    FROM security_events ORDER BY occurred_at LIMIT 1
                    """)()
            ).first)
        #expect(try row.decode(0) == SecurityEventType.loginFail)
        #expect(try row.decode(1) == "medium")
        #expect(try row.decode(2) == "192.0.2.1")
        #expect(try row.decode(3) == "Event 1 of test.")
        #expect(try row.decode(4) == "test")
        #expect(try await client.count("SELECT count(*) FROM security_event_keys") == 3000)
        spool.close()
        // The checkpoint tells all, and nothing has to be counted again.
        let reopened = try folder.spool()
        #expect(reopened.backlog.isEmpty)
        #expect(reopened.ledger.snapshot().byInput == ["http": LedgerCounts(stored: 20), "tcp": LedgerCounts(stored: 2980)])
    }

    @Test("goes through batches of every size, with two under way", arguments: [1, 7, 100])
    func batches(size: Int) async throws {
        let spool = try folder.spool()
        try await spool.store((1...1200).map { event($0) })
        try await deliver(spool) { $0.maximumRecords = size }
        #expect(try await client.storedEvents() == (1200, 1200))
        try await checkLedger(spool, ["http": LedgerCounts(stored: 1200)])
    }

    @Test("stores repeated events once: in a batch, in the next one, with another time, of another daemon")
    func duplicates() async throws {
        let spool = try folder.spool("one")
        var later = event(1)
        later.occurredAt = later.occurredAt + .seconds(3600)
        try await spool.store([event(1), event(2), event(1), later])
        try await deliver(spool)
        try await spool.store([event(2), event(3)], input: .unix)
        try await deliver(spool)
        let other = try folder.spool("two")
        try await other.store([event(3), event(4), later])
        try await deliver(other)
        #expect(try await client.storedEvents() == (4, 4))
        try await checkLedger(
            spool, ["http": LedgerCounts(stored: 2, duplicates: 2), "unix": LedgerCounts(stored: 1, duplicates: 1)])
        try await checkLedger(other, ["http": LedgerCounts(stored: 1, duplicates: 2)])
    }

    @Test("stores each event once that several daemons deliver at the same time")
    func daemons() async throws {
        let spools = try (0..<3).map { try folder.spool("daemon-\($0)") }
        for (index, spool) in spools.enumerated() {
            // Each in an order of its own.
            let numbers = index == 0 ? Array(1...600) : Array(1...600).shuffled()
            try await spool.store(numbers.map { event($0) })
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for spool in spools {
                let client = ScratchDatabase.current.makeClient()
                group.addTask { try await spool.delivery(to: client) { $0.maximumRecords = 50 }.deliverAll() }
            }
            try await group.waitForAll()
        }
        #expect(try await client.storedEvents() == (600, 600))
        let totals = spools.map { $0.ledger.snapshot().total }
        #expect(totals.map(\.stored).reduce(0, +) == 600)
        #expect(totals.allSatisfy { $0.received == 600 && $0.spooled == 0 && $0.deadLettered == 0 })
    }

    @Test("finds the events that PostgreSQL refuses, and stores the others")
    func poison() async throws {
        try await client.run("ALTER TABLE security_events ADD CONSTRAINT no_poison CHECK (type <> 'poison')")
        let spool = try folder.spool()
        let poisoned = [1, 500, 501, 999]
        try await spool.store((1...1000).map { event($0, type: poisoned.contains($0) ? "poison" : "fine") })
        // A duplicate in between.
        try await spool.store([event(7), event(1001)], input: .tcp)
        try await deliver(spool)
        #expect(try await client.storedEvents() == (997, 997))
        try await checkLedger(
            spool, ["http": LedgerCounts(stored: 996, deadLettered: 4), "tcp": LedgerCounts(stored: 1, duplicates: 1)])
        let letters = try await deadLetters(spool)
        #expect(letters.map(\.position) == [0, 499, 500, 998])
        #expect(letters.allSatisfy { $0.reason == "PostgreSQL refuses it: SQLSTATE 23514, constraint no_poison" })
        #expect(letters.first?.event?["details"]?.stringValue == "Event 1 of test.")
        // The keys of refused events are free.
        #expect(try await client.count("SELECT count(*) FROM security_event_keys") == 997)
    }

    @Test("stores refused events when they are replayed after their reason has gone, once")
    func replay() async throws {
        try await client.run("ALTER TABLE security_events ADD CONSTRAINT no_poison CHECK (type <> 'poison')")
        let spool = try folder.spool()
        let intake = Intake(spool)
        var batch = IntakeBatch()
        for number in 1...3 { try batch.add(event(number, type: "poison"), input: .http) }
        batch.addRejected("{".utf8, EventRejection("not JSON"), input: .http)
        _ = try await intake.accept(batch)
        try await deliver(spool)
        #expect(try await deadLetters(spool).count == 4)
        try await client.run("ALTER TABLE security_events DROP CONSTRAINT no_poison")

        let second = try folder.spool("replay")
        for round in 0..<2 {
            let replay = try await DeadLetters.replay(folder: spool.folder, into: Intake(second))
            #expect(replay == DeadLetters.Replay(replayed: round == 0 ? 3 : 0, kept: 1))
        }
        try await deliver(second)
        #expect(try await client.storedEvents() == (3, 3))
        let left = try await deadLetters(spool)
        #expect(left.map(\.reason) == ["not JSON"])
        #expect(left.first?.raw == Array("{".utf8))
        // The sender repeats itself, after the spool that knew it.
        let third = try folder.spool("repeated")
        _ = try await Intake(third).accept(batch)
        try await deliver(third)
        #expect(third.ledger.snapshot()[.http] == LedgerCounts(stored: 0, duplicates: 3, deadLettered: 1))
    }

    @Test("counts what was rejected, or known, when it came in")
    func remainders() async throws {
        let spool = try folder.spool()
        var batch = try IntakeBatch([1, 1, 1], input: .syslogTCP)
        batch.addRejected([0xFF, 0x00, 0x41], EventRejection("not JSON"), input: .tcp, at: Instant(microseconds: 1_000))
        _ = try await Intake(spool).accept(batch)
        try await deliver(spool)
        try await checkLedger(
            spool, ["syslog_tcp": LedgerCounts(stored: 1, duplicates: 2), "tcp": LedgerCounts(deadLettered: 1)])
        let letter = try #require(try await deadLetters(spool).first)
        #expect(letter.raw == [0xFF, 0x00, 0x41])
        #expect(letter.at == Instant(microseconds: 1_000))
        #expect(letter.input == "tcp")
    }

    @Test("makes dead letters of records that are none of ours")
    func strangeRecords() async throws {
        let spool = try folder.spool()
        try await spool.store([event(1)])
        var records = RecordBatch()
        records.append([99, 1, 2, 3])
        records.append([])
        try await spool.spool.waitUntilDurable(spool.spool.append(records))
        try await spool.store([event(2)])
        try await deliver(spool)
        #expect(try await client.storedEvents() == (2, 2))
        try await checkLedger(spool, ["http": LedgerCounts(stored: 2), "unknown": LedgerCounts(deadLettered: 2)])
        #expect(try await deadLetters(spool).map(\.position) == [1, 2])
    }

    @Test("counts records that are damaged on the disk, before it starts and while it runs", arguments: [true, false])
    func damage(isFoundAtStart: Bool) async throws {
        var spool = try folder.spool()
        try await spool.store((1...100).map { event($0) })
        if isFoundAtStart { spool.close() }
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: spool.folder).first { $0.hasSuffix(".segment") })
        let file = try #require(FileHandle(forUpdatingAtPath: spool.folder + "/" + name))
        try file.seek(toOffset: 5_000)
        try file.write(contentsOf: Data("damage".utf8))
        try file.close()
        if isFoundAtStart { spool = try folder.spool() }
        try await deliver(spool)
        let stored = try await client.storedEvents().all
        let ledger = spool.ledger.snapshot().byInput
        #expect(stored >= 98 && stored < 100)
        #expect(ledger["http"] == LedgerCounts(stored: stored))
        #expect(ledger["unknown"]?.deadLettered ?? 0 >= 100 - stored)
        #expect(try await client.ledger(of: spool) == ledger)
        #expect(try await deadLetters(spool).count == 1)
    }

    @Test("waits for another daemon that stores the same event, and then finds it known")
    func contention() async throws {
        let spool = try folder.spool()
        try await spool.store((1...50).map { event($0) })
        let key = try #require(event(25).key)
        let insert = Statement("test.insert", "INSERT INTO security_event_keys (key) VALUES ($1)")
        let delivery = spool.delivery(to: client)
        let delivering = try await ScratchDatabase.current.makeClient().withTransaction { transaction in
            _ = try await transaction.execute(insert(key))
            let delivering = Task { try await delivery.deliverAll() }
            try await eventually("the delivery waits") {
                try await client.count(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1
            }
            return delivering
        }
        try await delivering.value
        try await checkLedger(spool, ["http": LedgerCounts(stored: 49, duplicates: 1)])
    }

    @Test(
        "works through PgBouncer in transaction mode, also with duplicates and refused events",
        .enabled(if: PgBouncer.isInstalled || ProcessInfo.processInfo.environment["CI"] != nil, "apt-get install pgbouncer"))
    func pooler() async throws {
        try await client.run("ALTER TABLE security_events ADD CONSTRAINT no_poison CHECK (type <> 'poison')")
        let spool = try folder.spool()
        try await spool.store((1...300).map { event($0 % 250, type: $0 == 120 ? "poison" : "fine") })
        try await PgBouncer.run(in: client) { url in
            let pooled = PostgresClient(
                PostgresClient.Configuration(connection: ConnectionSettings(connectionString: url, applicationName: "test")),
                logger: .quiet)
            try await spool.delivery(to: pooled) { $0.maximumRecords = 40 }.deliverAll()
            await pooled.close()
        }
        #expect(try await client.storedEvents() == (249, 249))
        try await checkLedger(spool, ["http": LedgerCounts(stored: 249, duplicates: 50, deadLettered: 1)])
    }

    @Test("has a ledger in PostgreSQL that equals its own whenever it rests, and adds up at every moment")
    func ledger() async throws {
        let spool = try folder.spool()
        let intake = Intake(spool)
        try await whileDelivering(spool.delivery(to: client) { $0.maximumRecords = 20 }) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for start in 0..<60 {
                        _ = try await intake.accept(IntakeBatch(start * 10..<start * 10 + 20, input: start % 2 == 0 ? .http : .tcp))
                    }
                }
                group.addTask {
                    var last = LedgerCounts()
                    while last.spooled > 0 || last.received < 1200 {
                        let total = try await client.ledger(of: spool).values.reduce(LedgerCounts(), +)
                        let rows = try await client.storedEvents().all
                        #expect(total.received >= last.received)
                        #expect(total.stored >= last.stored && total.stored <= rows)
                        last = total
                    }
                }
                try await group.waitForAll()
            }
            try await eventually("the table has caught up") {
                try await client.ledger(of: spool).values.reduce(LedgerCounts(), +) == LedgerCounts(stored: 610, duplicates: 590)
            }
            let own = spool.ledger.snapshot().byInput
            #expect(try await client.ledger(of: spool) == own)
        }
        #expect(try await client.storedEvents() == (610, 610))
    }

    @Test("believes PostgreSQL's position and ledger when its own checkpoint is gone or lags behind")
    func laggingCheckpoint() async throws {
        let spool = try folder.spool()
        try await spool.store((1...100).map { event($0) })
        try folder.copySpool("test", to: "early")
        try await deliver(spool)
        let early = try folder.spool("early")
        #expect(early.ledger.snapshot()[.http] == LedgerCounts(spooled: 100))
        try await early.store((101...110).map { event($0) })
        try await deliver(early)
        try await checkLedger(early, ["http": LedgerCounts(stored: 110)])
        #expect(try await client.storedEvents() == (110, 110))
    }

    @Test("stores what was written to a folder that was put back from an older copy")
    func restoredFolder() async throws {
        let spool = try folder.spool()
        try await spool.store((1...10).map { event($0) })
        try folder.copySpool("test", to: "backup")
        try await spool.store((11...50).map { event($0) })
        try await deliver(spool)
        // Positions 10 to 19 are PostgreSQL's already, for other events.
        let restored = try folder.spool("backup")
        try await restored.store((101...110).map { event($0) })
        try await deliver(restored)
        #expect(try await client.storedEvents() == (60, 60))
        #expect(restored.ledger.snapshot().total.spooled == 0)
    }

    @Test("stores again what PostgreSQL has lost, as far as the spool still has it")
    func restoredDatabase() async throws {
        let spool = try folder.spool()
        try await spool.store((1...20).map { event($0) })
        let delivery = spool.delivery(to: client)
        try await delivery.deliverAll()
        try await client.run(
            """
            DELETE FROM security_events WHERE metadata ->> 'details' <> 'Event 1 of test.';
            TRUNCATE security_event_keys;
            UPDATE ingest_spools SET position = 1;
            UPDATE ingest_ledger SET received = 1, stored = 1
            """)
        try await spool.store([event(21)])
        try await delivery.deliverAll()
        #expect(try await client.storedEvents() == (21, 21))
        try await checkLedger(spool, ["http": LedgerCounts(stored: 21)])
    }

    @Test("delivers into a database that has never heard of the spool")
    func anotherDatabase() async throws {
        let spool = try folder.spool()
        try await spool.store([event(1)])
        try await deliver(spool)
        try await client.run("TRUNCATE ingest_spools, ingest_ledger, security_events, security_event_keys")
        try await spool.store([event(2)])
        try await deliver(spool)
        #expect(try await client.storedEvents() == (1, 1))
        try await checkLedger(spool, ["http": LedgerCounts(stored: 2)])
    }

    @Test("waits while a table is missing or locked away, and says so")
    func missingTable() async throws {
        try await client.run("ALTER TABLE security_event_keys RENAME TO elsewhere")
        let spool = try folder.spool()
        try await spool.store([event(1)])
        let delivery = spool.delivery(to: client)
        try await whileDelivering(delivery) {
            try await eventually("it waits") { if case .waiting = delivery.state { true } else { false } }
            #expect(spool.ledger.snapshot()[.http] == LedgerCounts(spooled: 1))
            try await client.run("ALTER TABLE elsewhere RENAME TO security_event_keys")
            try await eventually("it is stored") { try await client.storedEvents().all == 1 }
            try await eventually("it delivers") { delivery.state == .delivering }
        }
        #expect(try await deadLetters(spool).isEmpty)
    }

    private func deadLetters(_ spool: EventSpool) async throws -> [DeadLetter] {
        var letters: [DeadLetter] = []
        try await DeadLetters.list(folder: spool.folder) { letters.append($0) }
        return letters
    }
}
