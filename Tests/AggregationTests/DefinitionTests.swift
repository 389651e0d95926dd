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
            ("'2026-03-05 09:29:59.999999'", ["09:00-09:29"]),
            ("'2026-03-05 09:30'", ["09:00-09:00", "09:30-09:30"]),
        ])
    func pause(second: String, expected: [String]) async throws {
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, "'2026-03-05 09:00'") + Fact.activity(of: 1, session: 7, second))
        try await fixture.count()
        #expect(try await fixture.visits(session: 7) == expected)
        #expect(try await fixture.texts("SELECT starts_at, sessions FROM rollups WHERE unit = 'day'")
            == ["2026-03-05 00:00:00+00 \(expected.count)"])
        try await fixture.expectRightNumbers()
    }

    @Test("activity that is reported late begins a session earlier, makes it longer, or joins two")
    func lateActivity() async throws {
        try await fixture.sql(
            Fact.activity(of: 1, session: 7, "'2026-03-05 09:00'", "'2026-03-05 09:01'")
                + Fact.activity(of: 1, session: 7, "'2026-03-05 09:50'", "'2026-03-05 09:51'"))
        try await fixture.count()
        #expect(try await fixture.visits(session: 7) == ["09:00-09:01", "09:50-09:51"])
        for (late, expected) in [
            ("'2026-03-05 08:45'", ["08:45-09:01", "09:50-09:51"]), ("'2026-03-05 10:10'", ["08:45-09:01", "09:50-10:10"]),
            ("'2026-03-05 09:25'", ["08:45-10:10"]), ("'2026-03-05 12:00'", ["08:45-10:10", "12:00-12:00"]),
        ] {
            try await fixture.sql(Fact.activity(of: 1, session: 7, late))
            try await fixture.count()
            #expect(try await fixture.visits(session: 7) == expected)
            try await fixture.expectRightNumbers()
        }
        #expect(
            try await fixture.texts("SELECT to_char(day, 'MM-DD'), seconds, visits FROM visit_lengths WHERE visits <> 0 ORDER BY seconds")
                == ["03-05 0 1", "03-05 5100 1"])
    }
}
