import Aggregation
import TestSupport
import Testing

@Suite("Definitions", .scratchDatabase, .timeLimit(.minutes(3)))
struct DefinitionTests {
    private let fixture = MetricsFixture()
    private typealias Fact = MetricsFixture

    @Test(
        "a pause of 30 minutes ends a session, a shorter one does not",
        arguments: [
            ("09:29:59.999999", ["09:00-09:29"]), ("09:30", ["09:00-09:00", "09:30-09:30"]),
        ])
    func pause(second: String, expected: [String]) async throws {
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, Fact.at("09:00")) + Fact.activity(of: 1, session: 7, Fact.at(second)))
        try await fixture.count()
        #expect(try await fixture.visits(session: 7) == expected)
        #expect(try await fixture.number("SELECT sum(sessions) FROM rollups WHERE unit = 'day'") == expected.count)
        try await fixture.expectRightNumbers()
    }

    @Test("activity that is reported late begins a session earlier, makes it longer, or joins two")
    func lateActivity() async throws {
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, Fact.at("09:00"), Fact.at("09:01"))
                + Fact.activity(of: 1, session: 7, Fact.at("09:50"), Fact.at("09:51")))
        try await fixture.count()
        #expect(try await fixture.visits(session: 7) == ["09:00-09:01", "09:50-09:51"])
        for (late, expected) in [
            ("08:45", ["08:45-09:01", "09:50-09:51"]), ("10:10", ["08:45-09:01", "09:50-10:10"]), ("09:25", ["08:45-10:10"]),
            ("12:00", ["08:45-10:10", "12:00-12:00"]),
        ] {
            try await fixture.sql(Fact.activity(of: 1, session: 7, Fact.at(late)))
            try await fixture.count()
            #expect(try await fixture.visits(session: 7) == expected)
            try await fixture.expectRightNumbers()
        }
        #expect(
            try await fixture.texts("SELECT seconds, visits FROM visit_lengths WHERE visits <> 0 ORDER BY seconds")
                == ["0 1", "5100 1"])
    }

    @Test("two sign-ins of one user are two sessions of one active user")
    func twoSignIns() async throws {
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, Fact.at("09:00")) + Fact.activity(of: 1, session: 8, Fact.at("09:00")))
        try await fixture.count()
        #expect(
            try await fixture.texts("SELECT unit, sessions, active_users FROM rollups WHERE unit <> 'minute' ORDER BY unit")
                == ["day 2 1", "hour 2 1"])
    }

    @Test("what goes on over midnight is activity of both days, and a session of the day on which it began")
    func midnight() async throws {
        try await fixture.sql(Fact.activity(of: 1, session: 7, Fact.at("23:59:50"), Fact.at("24:00:20")))
        try await fixture.count()
        #expect(
            try await fixture.texts(
                "SELECT unit, sessions, active_users FROM rollups WHERE unit <> 'minute' ORDER BY unit, starts_at")
                == ["day 1 1", "day 0 1", "hour 1 1", "hour 0 1"])
        try await fixture.expectRightNumbers()
    }

    @Test("a week begins on Monday, in UTC, whatever the time zone of the database")
    func monday() async throws {
        let name = try await fixture.texts("SELECT current_database()")[0]
        try await fixture.sql("ALTER DATABASE \(name) SET timezone = 'Pacific/Auckland'")
        let local = MetricsFixture()
        try await local.makeUsers(1, createdAt: "'2026-11-02 00:00+00'")
        try await local.sql(
            Fact.activity(of: 1, session: 7, "timestamptz '2026-11-08 23:59:59+00'")
                + Fact.activity(of: 1, session: 7, "timestamptz '2026-11-09 00:00+00'")
                + "UPDATE users SET created_at = '2026-11-01 23:59:59+00'")
        try await local.count()
        #expect(
            try await local.texts("SELECT to_char(cohort, 'MM-DD'), to_char(week, 'MM-DD'), users FROM cohort_weeks ORDER BY week")
                == ["10-26 11-02 1", "10-26 11-09 1"])
        #expect(
            try await local.texts(
                "SELECT starts_at::text, active_users FROM rollups WHERE unit = 'day' AND active_users > 0 ORDER BY 1")
                == ["2026-11-08 00:00:00+00 1", "2026-11-09 00:00:00+00 1"])
        try await local.expectRightNumbers()
    }

    @Test("in a day that has 25 hours elsewhere, hours and days are UTC's")
    func daylightSaving() async throws {
        let name = try await fixture.texts("SELECT current_database()")[0]
        try await fixture.sql("ALTER DATABASE \(name) SET timezone = 'Europe/Berlin'")
        let local = MetricsFixture()
        try await local.makeUsers(2)
        try await local.sql(
            ["2026-10-25 00:30+00", "2026-10-25 01:30+00", "2026-10-25 23:59:59+00", "2026-10-26 00:00+00"]
                .map { Fact.message(at: "'\($0)'") }.joined())
        try await local.count()
        #expect(
            try await local.texts("SELECT unit, starts_at::text, messages FROM rollups WHERE messages > 0 ORDER BY 1, 2") == [
                "day 2026-10-25 00:00:00+00 3", "day 2026-10-26 00:00:00+00 1", "hour 2026-10-25 00:00:00+00 1",
                "hour 2026-10-25 01:00:00+00 1", "hour 2026-10-25 23:00:00+00 1", "hour 2026-10-26 00:00:00+00 1",
            ])
        try await local.expectRightNumbers()
    }

    @Test("who was active within the last 30 minutes is active now")
    func activeNow() async throws {
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, "now() - interval '29 minutes'") + Fact.activity(of: 1, session: 8, "now()")
                + Fact.activity(of: 2, session: 9, "now() - interval '30 minutes'"))
        try await fixture.count()
        #expect(try await fixture.texts("SELECT active_users, active_sessions FROM system_metrics") == ["1 2"])
    }

    @Test("sessions of today are those that began since midnight, UTC")
    func today() async throws {
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, Fact.at("-1 microsecond", daysAgo: 0))
                + Fact.activity(of: 2, session: 8, Fact.at("0", daysAgo: 0)))
        try await fixture.count()
        #expect(try await fixture.texts("SELECT sessions_today FROM system_metrics") == ["1"])
    }

    @Test("accounts are counted by type unless they are removed, messages whoever wrote them")
    func totals() async throws {
        try await fixture.makeUsers(6)
        try await fixture.sql(Fact.message(at: "now() - interval '2 years'") + Fact.message(at: "now()"))
        try await fixture.sql("UPDATE users SET removed_at = now(), email = NULL WHERE id = '\(Fact.id(1))'")
        try await fixture.count()
        #expect(
            try await fixture.texts("SELECT total_therapists, total_clients, messages_sent FROM system_metrics") == ["1 2 2"])
        try await fixture.sql("UPDATE users SET removed_at = now(), email = NULL WHERE id = '\(Fact.id(2))'")
        try await fixture.count()
        #expect(try await fixture.texts("SELECT total_therapists, total_clients FROM system_metrics") == ["1 1"])
    }

    @Test("response times are of the running minute and the five before it, of all functions and workers")
    func responseTimes() async throws {
        let minute = "date_trunc('minute', now(), 'UTC')"
        try await fixture.sql(
            Fact.calls("a:b", at: "\(minute) - interval '5 minutes'", milliseconds: [10, 20, 20, 30], failed: 1)
                + Fact.calls("a:b", at: minute, milliseconds: [40]) + Fact.calls("c:d", at: minute, milliseconds: [1000]))
        try await fixture.sql(Fact.calls("a:b", at: "\(minute) - interval '5 minutes 0.000001 seconds'", milliseconds: [9999]))
        try await fixture.count()
        #expect(
            try await fixture.texts(
                "SELECT avg_response_time, response_time_p50, response_time_p95, response_time_p99 FROM system_metrics")
                // (10 + 20 + 20 + 30 + 40 + 1000) / 6; the third of six; the sixth.
                == ["186.7 20 1000 1000"])
        try await fixture.expectRightNumbers()
        #expect(
            try await fixture.texts("SELECT function, calls, failed_calls FROM call_rollups WHERE unit = 'day' ORDER BY 2")
                .last?.hasPrefix("*") == true)
    }

    @Test("the load is the highest of the hosts that reported within the last minute; others are forgotten after a day")
    func load() async throws {
        try await fixture.sql(
            """
            INSERT INTO hosts (name, load, processors, reported_at)
            VALUES ('a', 0.256, 2, now()), ('b', 0.1, 4, now()), ('c', 9, 1, now() - interval '1 minute'),
                ('d', 1, 1, now() - interval '25 hours')
            """)
        try await fixture.count()
        #expect(try await fixture.texts("SELECT system_load FROM system_metrics") == ["0.26"])
        #expect(try await fixture.texts("SELECT name FROM hosts ORDER BY name") == ["a", "b", "c"])
    }

    @Test("the security level and the size of the database are as PostgreSQL has them")
    func levelAndSize() async throws {
        try await fixture.sql("INSERT INTO security_events (type, severity) VALUES ('test', 'critical')")
        try await fixture.count()
        #expect(
            try await fixture.texts("SELECT active_security_level, storage_bytes > 1000000 FROM system_metrics")
                == ["critical true"])
        try await fixture.sql("UPDATE security_events SET occurred_at = occurred_at - interval '20 minutes'")
        try await fixture.count()
        #expect(try await fixture.texts("SELECT active_security_level FROM system_metrics") == ["high"])
    }

    @Test("analytics tell new users from those who have come back")
    func analytics() async throws {
        try await fixture.makeUsers(4, createdAt: "now() - interval '40 days'")
        try await fixture.sql("UPDATE users SET created_at = now() - interval '2 days' WHERE id = '\(Fact.id(1))'")
        try await fixture.sql(
            // User 1 today, 2 three days ago, 3 twenty days ago, 4 not for long.
            Fact.activity(of: 1, session: 1, "now() - interval '1 minute'", "now()")
                + Fact.activity(of: 2, session: 2, Fact.at("09:00"), Fact.at("09:10"))
                + Fact.activity(of: 3, session: 3, Fact.at("09:00", daysAgo: 20), Fact.at("09:20", daysAgo: 20))
                + Fact.activity(of: 4, session: 4, Fact.at("09:00", daysAgo: 35)) + Fact.message(at: Fact.at("09:00", daysAgo: 20))
                + Fact.message(at: "now()"))
        try await fixture.count()
        #expect(
            try await fixture.texts(
                """
                SELECT timeframe, active_users, new_users, returning_users, sessions, median_session_seconds, messages,
                    round(stickiness::numeric, 2), jsonb_array_length(buckets), jsonb_array_length(cohorts)
                FROM user_analytics
                ORDER BY since DESC
                """) == [
                    "day 1 0 1 1 60 1 0.33 24 12", "week 2 1 1 2 60 1 0.33 7 12", "month 3 1 2 3 600 2 0.33 30 12",
                ])
        #expect(
            try await fixture.texts(
                """
                SELECT bucket->'activeUsers', bucket->'sessions', bucket->'messages'
                FROM user_analytics
                CROSS JOIN LATERAL jsonb_array_elements(buckets) AS bucket
                WHERE timeframe = 'month' AND bucket->'activeUsers' <> '0'
                """) == ["1 1 1", "1 1 0", "1 1 1"])
        try await fixture.expectRightNumbers()
    }

    @Test("a cohort is of one week, and shows how many of it were active in that week and each later one")
    func retention() async throws {
        try await fixture.makeUsers(3, createdAt: Fact.at("0", daysAgo: 14))
        try await fixture.sql(
            Fact.activity(of: 1, session: 1, Fact.at("1 minute", daysAgo: 14)) + Fact.activity(of: 1, session: 1, "now()")
                + Fact.activity(of: 2, session: 2, Fact.at("1 minute", daysAgo: 14))
                + Fact.activity(of: 2, session: 2, Fact.at("2 minutes", daysAgo: 14)))
        try await fixture.count()
        #expect(
            try await fixture.texts(
                """
                SELECT cohort->'users', cohort->'active'
                FROM user_analytics
                CROSS JOIN LATERAL jsonb_array_elements(cohorts) WITH ORDINALITY AS cohorts (cohort, number)
                WHERE timeframe = 'week' AND number >= 10
                ORDER BY number
                """) == ["3 [2, 0, 1]", "0 [0, 0]", "0 [0]"])
    }
}
