import Domain
import Postgres

/// The current security level, in SQL.
public enum SecurityLevelStore {
    /// An SQL expression, the level's name: `SecurityLevel.rules` as of the statement's `now()`.
    ///
    /// Each rule reads at most as many entries of the severity's index as it needs to hold, however many there are.
    public static let expression: String = {
        let rules = SecurityLevel.rules.map { rule in
            """
            WHEN (
                SELECT count(*)
                FROM (
                    SELECT
                    FROM security_events
                    WHERE severity = '\(rule.severity.rawValue)'
                      AND occurred_at > now() - interval '\(rule.window.components.seconds) seconds'
                      AND occurred_at <= now() + interval '\(SecurityLevel.clockTolerance.components.seconds) seconds'
                    LIMIT \(rule.count)
                ) AS recent
            ) >= \(rule.count) THEN '\(rule.level.rawValue)'
            """
        }
        return "CASE\n" + rules.joined(separator: "\n") + "\nELSE '\(SecurityLevel.low.rawValue)'\nEND"
    }()

    /// The level at this moment.
    public static func current(in database: some StatementExecutor) async throws -> SecurityLevel {
        guard let row = try await database.execute(level()).first else { preconditionFailure("a SELECT without FROM has a row") }
        return try row.decode(0)
    }

    private static let level = Statement("security_level.current", "SELECT \(expression)")
}
