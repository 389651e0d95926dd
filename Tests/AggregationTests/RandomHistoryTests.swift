import Aggregation
import Postgres
import TestSupport
import Testing

@Suite("Random histories", .scratchDatabase, .timeLimit(.minutes(5)))
struct RandomHistoryTests {
    private let fixture = MetricsFixture()

    @Test(
        "numbers are right after facts in any order, deletions, a writer that takes long, and turns cut short",
        arguments: 1...3 as ClosedRange<UInt64>, [36_500, 6])
    func history(seed: UInt64, retentionDays: Int) async throws {
        var history = RandomHistory(seed: seed)
        try await fixture.makeUsers(RandomHistory.users, createdAt: "now() - number * interval '4 days'")
        try await ScratchDatabase.current.makeClient().withConnection { slowWriter in
            var isWriting = false
            for step in 1...80 {
                switch history.pick(0...19) {
                case 0...9: try await fixture.sql(history.facts())
                case 10...11: try await fixture.sql(history.correction())
                case 12:
                    try await slowWriter.runScript(isWriting ? "COMMIT" : "BEGIN; \(history.facts())", name: "test")
                    isWriting.toggle()
                case 13: try await cutShort(after: .milliseconds(history.pick(1...15)))
                // Every now and then facts are kept for a day less, as if a day had passed.
                default: try await fixture.count(retentionDays: max(2, retentionDays - step / 20))
                }
                if step.isMultiple(of: 20) { try await fixture.expectRightNumbers("step \(step)") }
            }
            if isWriting { try await slowWriter.runScript("COMMIT", name: "test") }
        }
        try await fixture.expectRightNumbers()
        let days = try await fixture.days()
        try await MetricsRecomputation(database: fixture.database, logger: .quiet).rebuild()
        #expect(try await fixture.days() == days)
        try await fixture.expectRightNumbers("counted anew")
    }

    /// A leader that dies in its turn.
    private func cutShort(after duration: Duration) async throws {
        let turn = Task { try await fixture.count() }
        try await Task.sleep(for: duration)
        turn.cancel()
        _ = try? await turn.value
    }
}

extension MetricsFixture {
    fileprivate func days() async throws -> [String] {
        try await texts(
            """
            SELECT * FROM rollups
            WHERE unit = 'day' AND (messages, new_users, sessions, active_users) <> (0, 0, 0, 0)
            ORDER BY starts_at
            """)
    }
}

/// What may happen to an installation, the same for the same seed.
struct RandomHistory {
    static let users = 6

    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func pick(_ range: ClosedRange<Int>) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        mixed ^= mixed >> 31
        return range.lowerBound + Int(mixed % UInt64(range.count))
    }

    /// A whole minute of the last nine days, more often of late; pauses of exactly 30 minutes come up.
    private mutating func moment() -> String {
        let minutes = pick(0...2) == 0 ? pick(0...13_000) : pick(0...40) * 10
        return "(date_trunc('minute', now()) - interval '\(minutes) minutes')"
    }

    mutating func facts() -> String {
        (1...pick(1...6)).map { _ in
            switch pick(0...9) {
            case 0...1: MetricsFixture.message(at: pick(0...9) == 0 ? "now() - interval '100 days'" : moment())
            case 2...3:
                MetricsFixture.calls(
                    ["messages:list", "users:search"][pick(0...1)], at: moment(),
                    milliseconds: (0...pick(0...5)).map { _ in pick(1...20) }, failed: pick(0...1))
            case 4: account()
            default: activity()
            }
        }.joined()
    }

    private mutating func activity() -> String {
        let (session, first) = (pick(1...9), moment())
        let last = "\(first) + interval '\(pick(0...60)) seconds'"
        return MetricsFixture.activity(of: session % Self.users + 1, session: session, first, last)
    }

    private mutating func account() -> String {
        "INSERT INTO users (name, email, created_at) VALUES ('New', gen_random_uuid() || '@example.org', \(moment()));"
    }

    /// By hand.
    mutating func correction() -> String {
        switch pick(0...6) {
        case 0: "DELETE FROM messages WHERE (conversation_id, id) IN (SELECT conversation_id, id FROM messages ORDER BY id LIMIT 3)"
        case 1: "DELETE FROM messages WHERE created_at > \(moment())"
        case 2: "UPDATE messages SET read = true"
        case 3: "UPDATE messages SET created_at = \(moment()) WHERE created_at > \(moment())"
        case 4: "UPDATE users SET created_at = \(moment()) WHERE id = '\(MetricsFixture.id(pick(1...Self.users)))'"
        case 5: "DELETE FROM users WHERE name = 'New' AND created_at > \(moment())"
        default: pick(0...3) == 0 ? "TRUNCATE messages" : "UPDATE users SET account_type = 'therapist' WHERE name = 'New'"
        }
    }
}
