import Postgres
import Store
import TestSupport
import Testing
@testable import Watch

@Suite("Counting", .scratchDatabase, .timeLimit(.minutes(3)))
struct CountingTests {
    private let fixture = WatchFixture()

    private static let someEvents = """
        INSERT INTO security_events (occurred_at, type, severity)
        SELECT now() - random() * random() * interval '60 days', (ARRAY['a', 'b', 'c'])[1 + floor(random() * 3)],
            (ARRAY['critical', 'high', 'medium', 'low'])[1 + floor(random() * 4)]
        FROM generate_series(1, 200)
        """

    private func expectRightCounts(_ comment: Comment? = nil) async throws {
        let (told, counted) = try await fixture.statistics()
        #expect(told == counted, comment)
    }

    @Test("what has been counted is not counted again, and statistics are right before and after")
    func counting() async throws {
        var turn = fixture.makeTurn()
        try await expectRightCounts()
        _ = try await turn.run()
        for _ in 0..<3 {
            try await fixture.sql(Self.someEvents)
            #expect(try await fixture.uncounted() == 200)
            try await expectRightCounts()
            // More than once: events that get a partition of their own count as stored anew.
            while try await turn.run() {}
            #expect(try await fixture.uncounted() == 0)
            try await expectRightCounts()
        }
        #expect(try await fixture.number("SELECT sum(events) FROM security_event_totals") == 600)
    }

    @Test("statistics are right whoever changes the table, and however")
    func everyWay() async throws {
        var turn = fixture.makeTurn()
        try await fixture.sql("SELECT make_security_events_partition(now() - interval '31 days')")
        let month = try await fixture.texts("SELECT partition::text FROM security_event_partitions WHERE starts_at < now()")[0]
        _ = try await turn.run()
        let current = try await fixture.texts(
            "SELECT partition::text FROM security_event_partitions WHERE starts_at <= now() AND ends_at > now()")[0]
        try await fixture.sql(Self.someEvents)
        _ = try await turn.run()
        // Counted events and others, through the table and through a partition.
        let changes = [
            Self.someEvents, "DELETE FROM security_events WHERE type = 'a'", "DELETE FROM \(month) WHERE type = 'b'",
            "UPDATE security_events SET severity = 'critical', type = 'd' WHERE severity = 'low'",
            "UPDATE \(current) SET type = 'e' WHERE type = 'c'",
            "UPDATE security_events SET occurred_at = occurred_at - interval '31 days' WHERE severity = 'high'",
            "UPDATE security_events SET occurred_at = occurred_at + interval '5 hours' WHERE occurred_at < now() - interval '5 h'",
            "DELETE FROM security_events WHERE false", "INSERT INTO \(current) (type, severity) VALUES ('f', 'low')",
            "BEGIN; \(Self.someEvents); DELETE FROM security_events WHERE severity = 'medium'; COMMIT", "TRUNCATE \(month)",
            "INSERT INTO security_events (occurred_at, type, severity) VALUES ('infinity', 'odd', 'low')",
            "INSERT INTO security_events (occurred_at, type, severity) VALUES ('-infinity', 'odd', 'low')",
            "DELETE FROM security_events WHERE type = 'odd'", Self.someEvents, "TRUNCATE security_events", Self.someEvents,
        ]
        for (index, change) in changes.enumerated() {
            try await fixture.sql(change)
            try await expectRightCounts("\(change)")
            if index.isMultiple(of: 2) { _ = try await turn.run() }
            try await expectRightCounts("after a turn: \(change)")
        }
    }

    @Test("a transaction that runs for long keeps nobody from counting, and its own events are counted when it ends")
    func longTransaction() async throws {
        var turn = fixture.makeTurn()
        _ = try await turn.run()
        let writer = ScratchDatabase.current.makeClient()
        try await writer.withTransaction { transaction in
            try await transaction.runScript("INSERT INTO security_events (type, severity) VALUES ('slow', 'low')", name: "test")
            for _ in 0..<3 {
                try await fixture.sql(Self.someEvents)
                while try await turn.run() {}
                #expect(try await fixture.uncounted() == 0)
                try await expectRightCounts()
            }
        }
        #expect(try await fixture.uncounted() == 1)
        try await expectRightCounts()
        _ = try await turn.run()
        #expect(try await fixture.uncounted() == 0)
        try await expectRightCounts()
    }

    @Test("a dropped partition takes its counts with it, and a detached one brings them back")
    func droppedPartition() async throws {
        var turn = fixture.makeTurn()
        try await fixture.sql("SELECT make_security_events_partition(now() - interval '31 days')")
        let month = try await fixture.sql(
            "SELECT partition::text, starts_at::text, ends_at::text FROM security_event_partitions WHERE starts_at < now()")[0]
        let name: String = try month.decode(0)
        let (start, end): (String, String) = (try month.decode(1), try month.decode(2))
        try await fixture.sql(Self.someEvents)
        _ = try await turn.run()
        try await fixture.sql("ALTER TABLE security_events DETACH PARTITION \(name)")
        try await expectRightCounts()
        _ = try await turn.run()
        try await fixture.sql("DELETE FROM \(name) WHERE type = 'a'")
        try await fixture.sql("DELETE FROM security_events WHERE occurred_at >= '\(start)' AND occurred_at < '\(end)'")
        try await fixture.sql("ALTER TABLE security_events ATTACH PARTITION \(name) FOR VALUES FROM ('\(start)') TO ('\(end)')")
        try await expectRightCounts()
        try await fixture.sql("DROP TABLE \(name)")
        try await expectRightCounts()
    }

    @Test("in a restored database everything is counted anew, and right meanwhile")
    func restored() async throws {
        var turn = fixture.makeTurn()
        try await fixture.sql(Self.someEvents)
        _ = try await turn.run()
        try await fixture.sql(Self.someEvents)
        // As in a dump of a cluster with more transactions behind it: rows were written by other transactions than they say.
        try await fixture.sql(
            """
            UPDATE security_events SET stored_by = (stored_by::text::bigint + 5000000000)::text::xid8;
            UPDATE security_event_progress SET seen = '5000100000:5000100000:', written_by = '5000100000';
            """)
        try await expectRightCounts()
        try await fixture.sql("DELETE FROM security_events WHERE type = 'a'")
        try await fixture.sql(Self.someEvents)
        try await expectRightCounts()
        while try await turn.run() { try await expectRightCounts() }
        try await expectRightCounts()
        #expect(try await fixture.uncounted() == 0)
        try await fixture.sql(Self.someEvents)
        try await expectRightCounts()
        while try await turn.run() {}
        #expect(try await fixture.uncounted() == 0)
        try await expectRightCounts()
    }

    @Test("statistics are right at every moment, while others store, change and delete, and two daemons count")
    func concurrency() async throws {
        try await fixture.sql("SELECT make_security_events_partition(now() - interval '31 days')")
        try await fixture.sql("SELECT make_security_events_partition(now())")
        let fixture = fixture
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                let own = WatchFixture()
                group.addTask {
                    var turn = own.makeTurn()
                    while !Task.isCancelled { _ = try? await turn.run() }
                }
            }
            for change in [
                Self.someEvents, Self.someEvents,
                """
                DELETE FROM security_events
                WHERE (occurred_at, id) IN (SELECT occurred_at, id FROM security_events ORDER BY random() LIMIT 150)
                """,
                """
                UPDATE security_events SET type = 'changed', occurred_at = now()
                WHERE (occurred_at, id) IN (SELECT occurred_at, id FROM security_events ORDER BY random() LIMIT 20)
                """,
            ] {
                let own = WatchFixture()
                // Two that delete at once may deadlock, as ever.
                group.addTask { while !Task.isCancelled { _ = try? await own.sql(change) } }
            }
            for _ in 0..<60 {
                let (told, counted) = try await fixture.statistics()
                #expect(told == counted)
            }
            group.cancelAll()
        }
        try await expectRightCounts()
        #expect(try await fixture.number("SELECT count(*) FROM security_event_totals") > 0)
    }
}
