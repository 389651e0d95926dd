import Domain
import Logging
import Postgres
import Rules
import Store
import TestSupport
import Testing
@testable import Watch

/// A daemon's work, one turn at a time, on the test's database.
struct WatchFixture {
    let database = ScratchDatabase.current.makeClient()

    func makeTurn(rules: [DetectionRule] = [], retentionDays: Int = 365) -> WatchTurn {
        var configuration = WatchConfiguration()
        configuration.retentionDays = retentionDays
        return WatchTurn(database: database, rules: rules, configuration: configuration, logger: .quiet)
    }

    /// Runs SQL as a person at psql would.
    @discardableResult
    func sql(_ text: String) async throws -> QueryResult {
        try await database.withConnection { try await $0.runScript(text, name: "test").last! }
    }

    func number(_ sql: String) async throws -> Int {
        try Int(await self.sql("SELECT (\(sql))::text").first!.decode(0, as: String.self))!
    }

    func texts(_ sql: String) async throws -> [String] {
        try await self.sql(sql).map { try $0.decode(0) }
    }

    /// The statistics, and the same by counting the table, in one snapshot.
    func statistics() async throws -> (told: [String], counted: [String]) {
        try await database.withTransaction(.snapshot) { transaction in
            let told = try await transaction.execute(SecurityStatistics.query(maximumTypes: 100)).compactMap { row -> String? in
                let (kind, count) = (try row.decode(0, as: String.self), try row.decode(3, as: Int.self))
                guard kind != "level", count != 0 else { return nil }
                let name = try row.decode(1, as: String?.self) ?? String(row.decode(2, as: Instant.self).seconds)
                return "\(kind) \(name): \(count)"
            }
            let counted = try await transaction.execute(Self.fullCount()).map { try $0.decode(0, as: String.self) }
            return (told.sorted(), counted.sorted())
        }
    }

    /// How many events statistics would have to count now, since nobody has yet.
    func uncounted() async throws -> Int {
        try await number("SELECT coalesce(sum(events), 0) FROM count_security_events(counted_security_events(), NULL)")
    }

    private static let fullCount = Statement(
        "test.full_count",
        """
        SELECT 'severity ' || severity || ': ' || count(*) FROM security_events GROUP BY severity
        UNION ALL
        SELECT 'type ' || type || ': ' || count(*) FROM security_events GROUP BY type
        UNION ALL
        SELECT 'hour ' || extract(epoch FROM date_trunc('hour', occurred_at, 'UTC'))::bigint || ': ' || count(*)
        FROM security_events
        WHERE occurred_at >= date_trunc('hour', now(), 'UTC') - interval '23 hours'
          AND occurred_at < date_trunc('hour', now(), 'UTC') + interval '1 hour'
        GROUP BY date_trunc('hour', occurred_at, 'UTC')
        """)
}

/// Ten failed sign-ins to one account within five minutes.
let passwordGuessing = DetectionRule(
    name: "password_guessing", when: .init(types: ["authn_login_fail"]), by: .account, count: 10, within: .seconds(300),
    quiet: .seconds(900), raising: "malicious_password_guessing", severity: .critical, details: "{count} failed sign-ins to {key}")
