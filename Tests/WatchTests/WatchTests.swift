import Domain
import Logging
import Postgres
import Rules
import ServiceLifecycle
import Store
import TestSupport
import Testing
@testable import Watch
import Wire
import WorkerTestSupport

@Suite("The watch over stored events", .scratchDatabase, .timeLimit(.minutes(3)))
struct WatchTests {
    private let fixture = WatchFixture()

    private static let partitions = """
        SELECT partition::text FROM security_event_partitions WHERE starts_at IS NOT NULL ORDER BY starts_at
        """

    /// Failed sign-ins to one account, a second apart, the last one now.
    private func failures(_ count: Int, account: String = "ann", ago: String = "0 seconds") -> String {
        """
        INSERT INTO security_events (occurred_at, type, severity, ip, metadata)
        SELECT now() - interval '\(ago)' - number * interval '1 second', 'authn_login_fail', 'low', '192.0.2.1',
            '{"details": "Wrong password.", "source": "test", "context": "{\\"account\\":\\"\(account)\\"}"}'
        FROM generate_series(0, \(count - 1)) AS number
        """
    }

    private func raised() async throws -> [String] {
        try await fixture.texts(
            "SELECT metadata ->> 'details' FROM security_events WHERE type = 'malicious_password_guessing' ORDER BY occurred_at")
    }

    // MARK: Partitions

    @Test("this month and the next three have partitions, with the indexes and triggers of the table")
    func partitionsAhead() async throws {
        var turn = fixture.makeTurn()
        _ = try await turn.run()
        let names = try await fixture.texts(Self.partitions)
        let expected = try await fixture.texts(
            """
            SELECT 'security_events_' || to_char(date_trunc('month', now(), 'UTC') + number * interval '1 month', 'YYYY_MM')
            FROM generate_series(0, 3) AS number
            """)
        #expect(names == expected)
        for table in names {
            #expect(try await fixture.number("SELECT count(*) FROM pg_index WHERE indrelid = '\(table)'::regclass") == 4)
            #expect(try await fixture.number("SELECT count(*) FROM pg_trigger WHERE tgrelid = '\(table)'::regclass") == 4)
        }
        try await fixture.sql("INSERT INTO security_events (type, severity) VALUES ('a', 'low')")
        #expect(try await fixture.number("SELECT count(*) FROM \(names[0])") == 1)
    }

    @Test("events of a month without a partition are moved to one of their own; those of no sensible month stay")
    func strayEvents() async throws {
        var turn = fixture.makeTurn()
        _ = try await turn.run()
        try await fixture.sql(
            """
            INSERT INTO security_events (occurred_at, type, severity) VALUES
                (now() - interval '70 days', 'old', 'low'), (now() - interval '70 days', 'old', 'high'),
                (now() - interval '200 days', 'older', 'low'), (now() + interval '400 days', 'future', 'low'),
                ('infinity', 'future', 'low')
            """)
        let before = try await fixture.texts("SELECT id::text || occurred_at || type || severity FROM security_events ORDER BY 1")
        while try await turn.run() {}
        let after = try await fixture.texts("SELECT id::text || occurred_at || type || severity FROM security_events ORDER BY 1")
        #expect(before == after)
        #expect(try await fixture.texts("SELECT type FROM security_events_other") == ["future", "future"])
        #expect(try await fixture.texts(Self.partitions).count == 6)
        let (told, counted) = try await fixture.statistics()
        #expect(told == counted)
    }

    @Test("a partition that cannot be made now does not keep the rest from being done")
    func partitionInTheWay() async throws {
        var turn = fixture.makeTurn()
        _ = try await turn.run()
        try await fixture.sql(
            "INSERT INTO security_events (occurred_at, type, severity) VALUES (now() - interval '70 days', 'old', 'low')")
        let month = try await fixture.texts("SELECT to_char(now() - interval '70 days', 'YYYY_MM')")[0]
        try await fixture.sql("CREATE TABLE security_events_\(month) (n integer)")
        #expect(try await !turn.run())
        #expect(try await fixture.uncounted() == 0)
        #expect(try await fixture.number("SELECT count(*) FROM security_events_other") == 1)

        let ahead = try await fixture.texts(Self.partitions)
        try await fixture.sql("DROP TABLE \(ahead[1]); DROP TABLE \(ahead[2]); CREATE TABLE \(ahead[1]) (n integer)")
        var another = fixture.makeTurn(retentionDays: 60)
        #expect(try await !another.run())
        #expect(try await fixture.texts(Self.partitions) == [ahead[0], ahead[2], ahead[3]])
        #expect(try await fixture.number("SELECT count(*) FROM security_events") == 0)
    }

    @Test("what is older than the retention is deleted: whole months as partitions, the rest as rows, and old keys")
    func retention() async throws {
        try await fixture.sql("SELECT make_security_events_partition(now() - interval '100 days')")
        try await fixture.sql(
            """
            INSERT INTO security_events (occurred_at, type, severity) VALUES
                (now() - interval '100 days', 'old', 'low'), (now() - interval '5 years', 'ancient', 'low'),
                ('-infinity', 'ancient', 'low'), (now() - interval '31 days', 'old', 'low'),
                (now() - interval '29 days', 'young', 'low'), (now(), 'young', 'low');
            INSERT INTO security_event_keys (key, stored_at) VALUES
                (gen_random_uuid(), now() - interval '31 days'), (gen_random_uuid(), now() - interval '29 days');
            """)
        var turn = fixture.makeTurn(retentionDays: 30)
        while try await turn.run() {}
        _ = try await turn.run()
        #expect(try await fixture.texts("SELECT type FROM security_events") == ["young", "young"])
        let old = try await fixture.number(
            "SELECT count(*) FROM security_event_partitions WHERE ends_at < now() - interval '30 days'")
        #expect(old == 0)
        #expect(try await fixture.number("SELECT count(*) FROM security_event_keys") == 1)
        let (told, counted) = try await fixture.statistics()
        #expect(told == counted)
    }

    // MARK: Detection

    @Test("a rule raises one event, with the evidence, and it moves the level")
    func raisedEvent() async throws {
        var turn = fixture.makeTurn(rules: [passwordGuessing])
        _ = try await turn.run()
        try await fixture.sql(failures(9))
        _ = try await turn.run()
        #expect(try await raised() == [])
        #expect(try await SecurityLevelStore.current(in: fixture.database) == .low)
        try await fixture.sql(failures(3))
        for _ in 0..<3 { _ = try await turn.run() }
        #expect(try await raised() == ["10 failed sign-ins to ann"])
        #expect(try await SecurityLevelStore.current(in: fixture.database) == .critical)
        let row = try await fixture.sql(
            """
            SELECT severity, metadata ->> 'source', metadata ->> 'context'
            FROM security_events WHERE type = 'malicious_password_guessing'
            """)[0]
        #expect(try row.decode(0, as: String.self) == "critical")
        #expect(try row.decode(1, as: String.self) == "attune:detection")
        let context = try JSON(parsing: try row.decode(2, as: String.self).utf8)
        #expect(context.keys == ["rule", "key", "count", "first", "last", "events"])
        #expect(context["rule"] == "password_guessing")
        #expect(context["key"] == "ann")
        #expect(context["events"]?.arrayValue?.count == 10)
        #expect(SecurityEventID(context["events"]?[0]?.stringValue ?? "") != nil)
    }

    @Test("a daemon that starts finds what came while none was running; several raise an event once")
    func restart() async throws {
        try await fixture.sql(failures(12, ago: "3 hours"))
        var first = fixture.makeTurn(rules: [passwordGuessing])
        _ = try await first.run()
        #expect(try await raised().count == 1)
        var second = fixture.makeTurn(rules: [passwordGuessing])
        _ = try await second.run()
        #expect(try await raised().count == 1)
        let fixture = fixture
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                let own = WatchFixture()
                group.addTask {
                    var turn = own.makeTurn(rules: [passwordGuessing])
                    let raised = "SELECT count(*) FROM security_events WHERE type LIKE 'malicious%'"
                    while try await own.number(raised) < 6 { _ = try await turn.run() }
                }
            }
            for number in 0..<5 { try await fixture.sql(failures(12, account: "account\(number)")) }
            try await group.waitForAll()
        }
        #expect(Set(try await raised()).count == 6)
        #expect(try await raised().count == 6)
    }

    @Test("events of the far past or future, and raised ones, raise nothing")
    func ignoredEvents() async throws {
        var rule = passwordGuessing
        rule.when.types.append("malicious_password_guessing")
        rule.count = 1
        var turn = fixture.makeTurn(rules: [rule])
        _ = try await turn.run()
        try await fixture.sql(failures(12, ago: "2 days"))
        try await fixture.sql(failures(12, ago: "-1 hour"))
        _ = try await turn.run()
        #expect(try await raised() == [])
        try await fixture.sql(failures(1))
        for _ in 0..<3 { _ = try await turn.run() }
        #expect(try await raised().count == 1)
    }

    // MARK: Level and time

    @Test(
        "the level follows from the events of the last hour",
        arguments: [
            ("", .low), ("1 low 0", .low), ("1 medium 50", .guarded), ("1 medium 61", .low), ("49 medium 5", .guarded),
            ("50 medium 5", .elevated), ("50 medium 16", .guarded), ("1 high 50", .elevated), ("1 high 61", .low),
            ("4 high 5", .elevated), ("5 high 5", .high),
            ("5 high 16", .elevated), ("1 critical 5", .critical), ("1 critical 16", .high), ("1 critical 61", .low),
            ("1 critical -4", .critical), ("9 critical -6", .low), ("9 critical -600", .low),
        ] as [(String, SecurityLevel)])
    func level(events: String, expected: SecurityLevel) async throws {
        let parts = events.split(separator: " ")
        if parts.count == 3 {
            try await fixture.sql(
                """
                INSERT INTO security_events (occurred_at, type, severity)
                SELECT now() - interval '\(parts[2]) minutes', 'a', '\(parts[1])' FROM generate_series(1, \(parts[0]))
                """)
        }
        #expect(try await SecurityLevelStore.current(in: fixture.database) == expected)
    }

    @Test("an open page sees a guessing run, the level that it raises, and how the level falls, while others change nothing")
    func live() async throws {
        try await withTestWorker(
            databaseURL: ScratchDatabase.current.url,
            configure: {
                $0.spoolBudget = 0
                $0.live.missedInvalidation = nil
            }
        ) { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            let client = try await worker.connect(as: admin)
            let list = client.add("security:getSecurityEvents", ["severity": "critical"])
            let stats = client.add("security:getEventStats")
            try await client.wait(for: "the statistics") { $0.value(list) == [] ? $0.value(stats) : nil }
            let watch = Watch(
                database: fixture.database, rules: [passwordGuessing], configuration: WatchConfiguration(), logger: .quiet)
            let group = ServiceGroup(services: [watch], logger: .quiet)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run() }
                try await worker.sql(failures(12))
                try await client.wait(for: "the raised event") { state in
                    let isCritical = state.value(stats)?["activeSecurityLevel"] == "critical"
                    return isCritical && state.value(list)?[0]?["type"] == "malicious_password_guessing" ? true : nil
                }
                try await worker.sql("DELETE FROM security_events WHERE severity = 'critical'")
                // Is critical for two seconds more.
                try await worker.sql(
                    """
                    INSERT INTO security_events (occurred_at, type, severity)
                    VALUES (now() - interval '14 minutes 58 seconds', 'a', 'critical')
                    """)
                try await client.wait(for: "the level to fall") { $0.value(stats)?["activeSecurityLevel"] == "high" ? true : nil }
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        }
    }
}
