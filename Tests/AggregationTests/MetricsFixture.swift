import Aggregation
import Logging
import Postgres
import TestSupport
import Testing

/// An installation's raw facts and the numbers about them, on the test's database.
struct MetricsFixture {
    let database = ScratchDatabase.current.makeClient()

    /// - Parameter retentionDays: a hundred years, unless the test is about what happens to old facts.
    func makeAggregator(retentionDays: Int = 36_500) -> Aggregator {
        var configuration = AggregatorConfiguration()
        configuration.retentionDays = retentionDays
        configuration.pause = .milliseconds(20)
        return Aggregator(database: database, configuration: configuration, logger: .quiet)
    }

    /// Counts what is new.
    @discardableResult
    func count(retentionDays: Int = 36_500) async throws -> FactCounts {
        try await makeAggregator(retentionDays: retentionDays).catchUp()
    }

    /// Runs SQL as a person at psql would.
    @discardableResult
    func sql(_ text: String) async throws -> QueryResult {
        try await database.withConnection { try await $0.runScript("SET timezone = 'UTC'; \(text)", name: "test").last! }
    }

    /// The rows, each with its columns as JSON writes them and a blank between.
    func texts(_ sql: String) async throws -> [String] {
        try await self.sql(
            """
            SELECT (
                SELECT string_agg(coalesce(value, 'NULL'), ' ' ORDER BY number)
                FROM json_each_text(row_to_json(rows)) WITH ORDINALITY AS columns (name, value, number)
            )
            FROM (\(sql)) AS rows
            """
        ).map { try $0.decode(0) }
    }

    func number(_ sql: String) async throws -> Int {
        try Int(await self.sql("SELECT (\(sql))::text").first!.decode(0, as: String.self))!
    }

    /// Compares all numbers with what raw rows say.
    func expectRightNumbers(_ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let differences = try await MetricsRecomputation(database: database, logger: .quiet).check(limit: 3)
        #expect(differences.map(\.description) == [], comment, sourceLocation: sourceLocation)
    }

    /// SQL for a time of day (UTC), some days ago.
    static func at(_ time: String, daysAgo: Int = 3) -> String {
        "(date_trunc('day', now(), 'UTC') - interval '\(daysAgo * 24) hours' + interval '\(time)')"
    }

    /// A number's id, for accounts, sign-ins and workers.
    static func id(_ number: Int) -> String {
        let digits = String(number)
        return "00000000-0000-7000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    /// Makes accounts, numbered from 1, with conversations between each and the next.
    func makeUsers(_ count: Int, createdAt: String = "now()") async throws {
        try await sql(
            """
            INSERT INTO users (id, email, name, account_type, created_at)
            SELECT ('00000000-0000-7000-8000-' || lpad(number::text, 12, '0'))::uuid, number || '@example.org', 'User ' || number,
                CASE number % 3 WHEN 1 THEN 'therapist' WHEN 2 THEN 'client' END, \(createdAt)
            FROM generate_series(1, \(count)) AS number;
            INSERT INTO conversations (id, low_user_id, high_user_id)
            SELECT id, id, lead(id) OVER (ORDER BY id) FROM users ORDER BY id LIMIT \(count - 1)
            """)
    }

    /// SQL for a message from user 1 to user 2.
    static func message(at moment: String) -> String {
        """
        INSERT INTO messages (conversation_id, sender_id, recipient_id, content, created_at)
        VALUES ('\(id(1))', '\(id(1))', '\(id(2))', 'Hello', \(moment));
        """
    }

    /// SQL for a fact of activity; times are UTC.
    static func activity(of user: Int, session: Int, _ first: String, _ last: String? = nil) -> String {
        """
        INSERT INTO session_activity (worker_id, report, session_id, user_id, first_at, last_at)
        VALUES (gen_random_uuid(), 1, '\(id(session))', '\(id(user))', \(first), \(last ?? first));
        """
    }

    /// SQL for a report of calls; each took so many milliseconds.
    static func calls(_ function: String, at moment: String, milliseconds: [Int], failed: Int = 0) -> String {
        let durations = Dictionary(grouping: milliseconds) { $0 }.mapValues(\.count).sorted { $0.key < $1.key }
        return """
            INSERT INTO function_calls
                (worker_id, report, function, recorded_at, calls, failed_calls, microseconds, durations, counts)
            VALUES (gen_random_uuid(), 1, '\(function)', \(moment), \(milliseconds.count), \(failed),
                \(milliseconds.reduce(0, +) * 1000), '{\(durations.map { String($0.key * 1000) }.joined(separator: ","))}',
                '{\(durations.map { String($0.value) }.joined(separator: ","))}');
            """
    }

    /// The visits of a sign-in, as `09:00-09:05`.
    func visits(session: Int) async throws -> [String] {
        try await texts(
            """
            SELECT to_char(started_at, 'HH24:MI') || '-' || to_char(last_active_at, 'HH24:MI')
            FROM visits
            WHERE session_id = '\(Self.id(session))'
            ORDER BY started_at
            """)
    }
}
