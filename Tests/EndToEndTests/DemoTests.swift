import Foundation
import StackTestSupport
import TestSupport
import Testing

@Suite("attune dev --demo", .timeLimit(.minutes(4)))
struct DemoTests {
    @Test("the demo's weeks are counted although raw facts are kept for some days only, and a second start changes nothing")
    func history() async throws {
        try await StackPlace.with { place in
            var made: [String] = []
            try await place.withStack([:], ["dev", "--demo"]) { stack in
                made = try await Self.rows(place)
                let people = try #require(Int(made[0]))
                #expect(people > 40)
                try await eventually("the numbers") {
                    let numbers = try await place.psql(
                        """
                        SELECT total_therapists = 8 AND total_clients = \(people - 9) AND messages_sent = \(made[1])
                            AND active_users > 0 AND avg_response_time > 0
                        FROM system_metrics
                        UNION ALL
                        SELECT active_users > \(people / 2) AND sessions > 200 AND messages > 80
                            AND (buckets -> 1 ->> 'calls')::bigint > 0
                        FROM user_analytics WHERE timeframe = 'month'
                        """)
                    return numbers == ["t", "t"]
                }
                // Longer ago than raw facts are kept.
                let cohorts = try await place.psql("SELECT count(*) > 30 FROM cohort_weeks")
                #expect(cohorts == ["t"])
            }
            try await place.withStack([:], ["dev", "--demo"]) { _ in
                let again = try await Self.rows(place)
                #expect(again == made)
            }
        }
    }

    /// How many accounts, messages and conversations there are, and demo events.
    private static func rows(_ place: StackPlace) async throws -> [String] {
        try await place.psql(
            """
            SELECT count(*) FROM users
            UNION ALL SELECT count(*) FROM messages
            UNION ALL SELECT count(*) FROM conversations
            UNION ALL SELECT count(*) FROM security_events WHERE metadata ->> 'source' = 'attune:demo'
            """)
    }
}
