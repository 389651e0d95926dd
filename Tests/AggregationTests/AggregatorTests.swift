import Aggregation
import Logging
import Postgres
import ServiceLifecycle
import TestSupport
import Testing

@Suite("Aggregator", .timeLimit(.minutes(3)))
struct AggregatorTests {
    @Test("of two aggregators one leads, and the other takes over when it stops", .scratchDatabase)
    func takeover() async throws {
        let fixture = MetricsFixture()
        try await fixture.makeUsers(2)
        let (first, second) = (fixture.makeAggregator(), MetricsFixture().makeAggregator())
        let firstGroup = ServiceGroup(services: [first], logger: .quiet)
        let secondGroup = ServiceGroup(services: [second], logger: .quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await firstGroup.run() }
            try await eventually("the first one leads") { first.status.role == .leading }
            group.addTask { try await secondGroup.run() }
            try await eventually("the second one is up") { second.status.lastTurnEnded != nil }
            await firstGroup.triggerGracefulShutdown()
            try await fixture.sql(MetricsFixture.message(at: "now()"))
            try await eventually("the second one counts") { second.status.counted.messages == 1 }
            #expect(second.status.role == .leading)
            #expect(second.status.problem == nil)
            try await eventually("nothing is left to count") { second.status.behindSince == nil }
            await secondGroup.triggerGracefulShutdown()
            while try await group.next() != nil {}
        }
        #expect(first.status.counted.messages + second.status.counted.messages == 1)
        try await fixture.expectRightNumbers()
    }

    @Test("a turn that fails is told of, and the next one counts what it would have", .scratchDatabase)
    func failure() async throws {
        let fixture = MetricsFixture()
        try await fixture.makeUsers(2)
        let aggregator = fixture.makeAggregator()
        let services = ServiceGroup(services: [aggregator], logger: .quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            try await eventually("it leads") { aggregator.status.role == .leading }
            let other = ScratchDatabase.current.makeClient()
            try await other.withTransaction { transaction in
                try await transaction.runScript("LOCK TABLE rollups", name: "test")
                try await fixture.sql(MetricsFixture.message(at: "now()"))
                try await eventually("its connection breaks in the midst of a turn") {
                    let broken = try await transaction.runScript(
                        """
                        SELECT pg_terminate_backend(pid)
                        FROM pg_stat_activity
                        WHERE wait_event_type = 'Lock' AND datname = current_database()
                        """, name: "test")
                    return broken.last?.isEmpty == false
                }
                try await eventually("it says so") { aggregator.status.problem != nil }
                #expect(aggregator.status.behindSince != nil)
            }
            try await eventually("it has counted") { aggregator.status.counted.messages == 1 }
            #expect(aggregator.status.problem == nil)
            await services.triggerGracefulShutdown()
            while try await group.next() != nil {}
        }
        try await fixture.expectRightNumbers()
    }

    @Test("it works through PgBouncer", .scratchDatabase, .enabled(if: PgBouncer.isInstalled))
    func pooled() async throws {
        let fixture = MetricsFixture()
        try await fixture.makeUsers(2)
        try await PgBouncer.run(in: fixture.database) { url in
            let pooled = PostgresClient(
                .init(connection: ConnectionSettings(connectionString: url, applicationName: "attune tests")), logger: .quiet)
            for count in 1...3 {
                try await fixture.sql(MetricsFixture.message(at: "now()"))
                try await Aggregator(database: pooled, logger: .quiet).catchUp()
                #expect(try await fixture.number("SELECT messages_sent FROM system_metrics") == count)
            }
            #expect(try await MetricsRecomputation(database: pooled, logger: .quiet).check() == [])
            await pooled.close()
        }
        // The pooler's sessions are others' too.
        #expect(try await fixture.texts("SELECT current_setting('enable_seqscan')") == ["on"])
    }
}
