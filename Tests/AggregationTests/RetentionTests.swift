import Aggregation
import TestSupport
import Testing

@Suite("Old facts", .scratchDatabase, .timeLimit(.minutes(3)))
struct RetentionTests {
    private let fixture = MetricsFixture()
    private typealias Fact = MetricsFixture

    @Test("facts go when they are older than they are kept, and what they added up to stays")
    func facts() async throws {
        try await fixture.makeUsers(2)
        for daysAgo in [20, 8, 7, 1] {
            try await fixture.sql(
                Fact.activity(of: 1, session: 7, Fact.at("09:00", daysAgo: daysAgo))
                    + Fact.calls("a:b", at: Fact.at("09:00", daysAgo: daysAgo), milliseconds: [1])
                    + Fact.message(at: Fact.at("09:00", daysAgo: daysAgo)))
        }
        #expect(try await fixture.count(retentionDays: 7) == FactCounts(messages: 4, users: 2, activity: 4, calls: 4))
        let sums = "SELECT sum(sessions), sum(active_users), sum(messages) FROM rollups WHERE unit = 'day'"
        #expect(try await fixture.texts(sums) == ["4 4 4"])
        for (table, left) in [("session_activity", 2), ("function_calls", 2), ("visits", 2), ("messages", 4)] {
            #expect(try await fixture.number("SELECT count(*) FROM \(table)") == left, "\(table)")
        }
        #expect(try await fixture.number("SELECT count(*) FROM active_users WHERE unit = 'day'") == 2)
        #expect(try await fixture.number("SELECT sum(calls) FROM call_rollups WHERE unit = 'day' AND function = '*'") == 4)
        try await fixture.expectRightNumbers()

        // What comes after its time is left out, messages aside: it could have been counted before.
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, Fact.at("09:00", daysAgo: 8))
                + Fact.calls("a:b", at: Fact.at("09:00", daysAgo: 9), milliseconds: [1])
                + Fact.message(at: Fact.at("09:00", daysAgo: 9)))
        #expect(try await fixture.count(retentionDays: 7) == FactCounts(messages: 1))
        #expect(try await fixture.texts(sums) == ["4 4 5"])
        try await fixture.expectRightNumbers()

        // Nor does it come back when facts are to be kept for longer again.
        try await fixture.count(retentionDays: 30)
        try await fixture.expectRightNumbers()
        try await MetricsRecomputation(database: fixture.database, logger: .quiet).rebuild()
        #expect(try await fixture.texts(sums) == ["4 4 5"])
        try await fixture.expectRightNumbers()
    }

    @Test("a session goes on over the day from which facts are left")
    func acrossTheEdge() async throws {
        try await fixture.sql(Fact.activity(of: 1, session: 7, Fact.at("23:50", daysAgo: 4)))
        try await fixture.count()
        try await fixture.sql(Fact.activity(of: 1, session: 7, Fact.at("-10 seconds"), Fact.at("10 seconds")))
        try await fixture.count(retentionDays: 3)
        try await fixture.expectRightNumbers("reported in time")
        // The part before the edge is left out, and the rest belongs to the session.
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, Fact.at("-20 minutes"), Fact.at("20 minutes"))
                + Fact.activity(of: 2, session: 8, Fact.at("-10 minutes"), Fact.at("10 minutes")))
        try await fixture.count(retentionDays: 3)
        #expect(try await fixture.visits(session: 7) == ["23:50-00:20"])
        #expect(try await fixture.visits(session: 8) == ["00:00-00:10"])
        try await fixture.expectRightNumbers("reported late")
        try await MetricsRecomputation(database: fixture.database, logger: .quiet).rebuild()
        #expect(try await fixture.visits(session: 7) == ["23:50-00:20"])
        try await fixture.expectRightNumbers("counted anew")
    }

    @Test("sums of minutes are kept for two days, those of hours and lengths of sessions for sixty, those of days for ever")
    func sums() async throws {
        try await fixture.makeUsers(2)
        try await fixture.count()
        try await fixture.sql(
            """
            INSERT INTO rollups (unit, starts_at)
            SELECT unit, date_trunc('day', now(), 'UTC') - days * interval '1 day'
            FROM unnest(ARRAY['minute', 'hour', 'day']) AS unit
            CROSS JOIN unnest(ARRAY[1, 3, 59, 61]) AS days;
            INSERT INTO visit_lengths (day, seconds, visits)
            SELECT date_trunc('day', now(), 'UTC') - days * interval '1 day', 60, days % 2
            FROM unnest(ARRAY[1, 2, 3, 59, 61]) AS days
            """)
        try await fixture.count()
        #expect(
            try await fixture.texts(
                """
                SELECT unit, string_agg(extract(day FROM date_trunc('day', now(), 'UTC') - starts_at)::text, ',' ORDER BY starts_at)
                FROM rollups
                WHERE starts_at < date_trunc('day', now(), 'UTC')
                GROUP BY unit
                ORDER BY unit
                """) == ["day 61,59,3,1", "hour 59,3,1", "minute 1"])
        #expect(try await fixture.number("SELECT count(*) FROM visit_lengths") == 3)
    }
}
