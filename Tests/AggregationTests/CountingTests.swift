import Postgres
import TestSupport
import Testing
@testable import Aggregation

@Suite("Counting facts", .scratchDatabase, .timeLimit(.minutes(3)))
struct CountingTests {
    private let fixture = MetricsFixture()
    private typealias Fact = MetricsFixture

    private static let someFacts =
        Fact.message(at: "now()") + Fact.message(at: "now() - interval '3 days'") + Fact.activity(of: 1, session: 7, "now()")
        + Fact.activity(of: 2, session: 8, "now() - interval '1 hour'") + Fact.calls("a:b", at: "now()", milliseconds: [1, 2])

    @Test("each fact is counted once")
    func once() async throws {
        try await fixture.makeUsers(2)
        try await fixture.sql(Self.someFacts)
        #expect(try await fixture.count() == FactCounts(messages: 2, users: 2, activity: 2, calls: 1))
        #expect(try await fixture.count() == FactCounts())
        try await fixture.sql(Self.someFacts)
        #expect(try await fixture.count() == FactCounts(messages: 2, activity: 2, calls: 1))
        try await fixture.expectRightNumbers()
    }

    @Test("a turn that finds nothing writes nothing, and rows whose values stay the same are not written")
    func idle() async throws {
        try await fixture.makeUsers(2)
        try await fixture.sql(Self.someFacts)
        try await fixture.count()
        func versions() async throws -> [String] {
            try await fixture.texts(
                """
                SELECT xmin::text FROM metrics_progress UNION ALL SELECT xmin::text FROM system_metrics
                UNION ALL SELECT xmin::text FROM user_analytics UNION ALL SELECT xmin::text FROM rollups
                UNION ALL SELECT xmin::text FROM call_rollups UNION ALL SELECT xmin::text FROM visits
                UNION ALL SELECT xmin::text FROM user_activity
                """)
        }
        // The size of the database may have changed since the turn began that wrote it.
        var before = try await versions()
        try await eventually("a turn writes nothing") {
            try await fixture.count()
            let after = try await versions()
            defer { before = after }
            return after == before
        }
        // One row changes, and the others stay as they are.
        try await fixture.sql("INSERT INTO hosts (name, load, processors) VALUES ('a', 1, 1)")
        try await fixture.count()
        let after = try await versions()
        #expect(zip(before, after).filter { $0 != $1 }.count == 1)
    }

    @Test("marking messages as read is nothing new")
    func read() async throws {
        try await fixture.makeUsers(2)
        try await fixture.sql(Self.someFacts)
        try await fixture.count()
        try await fixture.sql("UPDATE messages SET read = true")
        #expect(try await fixture.count() == FactCounts())
        try await fixture.expectRightNumbers()
    }

    @Test("what people change by hand is corrected at once, counted or not")
    func byHand() async throws {
        try await fixture.makeUsers(9, createdAt: "now() - number * interval '3 days'")
        for change in [
            "DELETE FROM messages WHERE created_at < now() - interval '1 day'", "DELETE FROM messages WHERE false",
            "UPDATE messages SET created_at = created_at - interval '1 hour'",
            "DELETE FROM conversations WHERE id = '\(Fact.id(8))'",
            "DELETE FROM users WHERE id = '\(Fact.id(9))'", "UPDATE users SET created_at = created_at - interval '10 days'",
            "BEGIN; \(Self.someFacts); DELETE FROM messages; COMMIT", "TRUNCATE messages",
            "TRUNCATE users, messages, conversations, sessions, refresh_tokens",
        ] {
            try await fixture.sql(Self.someFacts)
            try await fixture.count()
            try await fixture.sql(Self.someFacts + Fact.activity(of: 9, session: 9, "now()"))
            try await fixture.sql(change)
            try await fixture.expectRightNumbers("\(change)")
            if change.contains("users, messages") { break }
        }
        #expect(try await fixture.number("SELECT coalesce(sum(messages + new_users), 0) FROM rollups") == 0)
    }

    @Test("sums are right also before the next turn when counted messages go")
    func correctionAtOnce() async throws {
        try await fixture.makeUsers(2)
        try await fixture.sql(Self.someFacts)
        try await fixture.count()
        try await fixture.sql(
            "BEGIN; SAVEPOINT a; DELETE FROM messages WHERE created_at < now() - interval '1 day'; RELEASE a; COMMIT")
        #expect(try await fixture.number("SELECT sum(messages) FROM rollups WHERE unit = 'day'") == 1)
    }

    @Test("a writer that takes long keeps nobody from counting, and its own facts are counted when it has committed")
    func longTransaction() async throws {
        try await fixture.makeUsers(2)
        let writer = ScratchDatabase.current.makeClient()
        try await writer.withTransaction { transaction in
            try await transaction.runScript(Self.someFacts, name: "test")
            for _ in 0..<3 {
                try await fixture.sql(Self.someFacts)
                #expect(try await fixture.count().messages == 2)
                try await fixture.expectRightNumbers()
            }
        }
        #expect(try await fixture.count() == FactCounts(messages: 2, activity: 2, calls: 1))
        try await fixture.expectRightNumbers()
    }

    @Test("while somebody deletes messages in a long transaction, turns stand by, and count everything afterwards")
    func longDeletion() async throws {
        try await fixture.makeUsers(2)
        try await fixture.sql(Self.someFacts)
        try await fixture.count()
        let writer = ScratchDatabase.current.makeClient()
        try await writer.withTransaction { transaction in
            try await transaction.runScript("DELETE FROM messages", name: "test")
            try await fixture.sql(Self.someFacts)
            var turn = Turn(database: fixture.database, configuration: AggregatorConfiguration(), logger: .quiet)
            let outcome = try await turn.run()
            #expect(outcome == .standsBy)
        }
        try await fixture.expectRightNumbers()
        #expect(try await fixture.number("SELECT sum(messages) FROM rollups WHERE unit = 'day'") == 2)
    }

    @Test("aggregators that count at once count nothing twice, while others store and delete")
    func concurrency() async throws {
        try await fixture.makeUsers(2)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    let own = MetricsFixture()
                    while !Task.isCancelled { _ = try? await own.count() }
                }
            }
            for change in [Self.someFacts, Self.someFacts, "DELETE FROM messages WHERE random() < 0.2"] {
                group.addTask {
                    let own = MetricsFixture()
                    while !Task.isCancelled { _ = try? await own.sql(change) }
                }
            }
            let fixture = fixture
            try await eventually("there is enough to count") {
                try await fixture.number("SELECT count(*) FROM session_activity") > 200
            }
            try await fixture.expectRightNumbers("meanwhile")
            group.cancelAll()
        }
        try await fixture.expectRightNumbers()
    }

    @Test("a portion is what one snapshot does not see and a later one does")
    func portions() throws {
        let seen = try #require(TransactionSnapshot("90:100:90,95"))
        let present = try #require(TransactionSnapshot("95:120:95,110"))
        let portion = Portion(after: seen, in: present)
        #expect(portion.first == 100)
        #expect(portion.end == 120)
        #expect(portion.running.elements == [110])
        #expect(portion.ended.elements == [90])
        #expect(!portion.isPart)
        #expect(portion.until.description == "95:120:95,110")

        let later = try #require(TransactionSnapshot("4000000000:4000000010:4000000000"))
        let part = Portion(after: seen, in: later)
        #expect(part.isPart)
        #expect(part.end == 100 + (4_000_000_010 - 100) / 16)
        #expect(part.ended.elements == [90, 95])
        #expect(part.until == TransactionSnapshot(next: part.end, running: []))
        #expect(TransactionSnapshot("") == nil)
        #expect(TransactionSnapshot("1:2") == nil)
        #expect(TransactionSnapshot("1:2:x") == nil)
        #expect(TransactionSnapshot("1:1:") == .nothing)
    }

    @Test("after a long absence, portions add up to the whole")
    func manyPortions() async throws {
        try await fixture.makeUsers(2)
        try await fixture.sql(Self.someFacts)
        try await fixture.count()
        try await fixture.sql(Self.someFacts + Self.someFacts)
        let next = try await fixture.number("SELECT pg_snapshot_xmax(pg_current_snapshot())")
        let seen = try await fixture.number("SELECT pg_snapshot_xmax(seen) FROM metrics_progress")
        try await fixture.database.withTransaction { transaction in
            let progress = try #require(await Progress.lock(in: transaction, retentionDays: 1000))
            var (counted, before) = (FactCounts(), progress.seen)
            // One transaction after the other.
            for end in seen..<next {
                let after = progress.present.limited(to: Int64(end + 1))
                let step = Progress(
                    seen: before, present: after, isOurs: true, factsSince: progress.factsSince,
                    retentionBegin: progress.retentionBegin)
                counted += try await Turn.count(after: step, in: transaction).0
                before = after
            }
            #expect(counted == FactCounts(messages: 4, activity: 4, calls: 2))
        }
        #expect(try await fixture.count() == FactCounts())
        try await fixture.expectRightNumbers()
    }
}
