import Logging
import Postgres

/// Computes every number anew from raw rows, by statements that have nothing in common with those that keep the numbers.
public struct MetricsRecomputation: Sendable {
    /// A number that is not what raw rows say.
    public struct Difference: Equatable, Sendable, CustomStringConvertible {
        /// `rollups`
        public let table: String
        /// Which row and column: `day 2026-11-23 00:00, messages`.
        public let number: String
        public let stored: String
        public let recomputed: String

        public var description: String { "\(table): \(number): \(stored), recomputed \(recomputed)" }
    }

    private let database: PostgresClient
    private let logger: Logger

    /// - Parameter database: its statement timeout should be minutes, since whole tables are read. Two of its connections are
    ///   used at once.
    public init(database: PostgresClient, logger: Logger) {
        self.database = database
        self.logger = logger
    }

    /// Counts what is new, and compares all numbers with what raw rows of the same moment say. Of calls and activity only the time
    /// that raw facts still cover.
    ///
    /// - Parameter limit: of differences in each table.
    public func check(limit: Int = 20) async throws -> [Difference] {
        try await aggregator.catchUp()
        // What is stored belongs to what has been counted, so neither has to stop.
        let sums = try await database.withTransaction(.snapshot) { transaction in
            try await compare(SumComparison.all, limit: limit, in: transaction)
        }
        // Results are of the moment at which they were computed, so nobody else is to compute them meanwhile.
        let results = try await database.asLeader(.wait) { leader in
            _ = try await leader.execute(Self.allowIdling())
            return try await database.withTransaction(.repeatableRead) { transaction in
                _ = try await transaction.execute([
                    SystemMetricsResult.update(countsAccounts: true, measuresStorage: true), UserAnalyticsResult.update(),
                ])
                return try await compare(ResultComparison.all, limit: limit, in: transaction)
            }
        }
        return sums + (results ?? [])
    }

    /// Counts everything anew, and returns when that is done. What raw facts no longer cover stays as it is.
    public func rebuild() async throws {
        _ = try await database.asLeader(.wait) { transaction in try await CountingAnew.forget(in: transaction) }
        try await aggregator.catchUp()
    }

    /// It leaves old facts to the aggregator that knows how long they are kept.
    private var aggregator: Aggregator {
        var configuration = AggregatorConfiguration()
        configuration.retentionDays = 1_000_000
        return Aggregator(database: database, configuration: configuration, logger: logger)
    }

    private func compare(
        _ comparisons: [(table: String, statement: Statement)], limit: Int, in transaction: Transaction
    ) async throws -> [Difference] {
        _ = try await transaction.execute(Self.prepare())
        var differences: [Difference] = []
        for (table, statement) in comparisons {
            differences += try await transaction.execute(statement(limit)).map { row in
                Difference(
                    table: table, number: try row.decode(0), stored: try row.decode(1, as: String?.self) ?? "nothing",
                    recomputed: try row.decode(2, as: String?.self) ?? "nothing")
            }
        }
        return differences
    }

    private static let allowIdling = Statement(
        "recomputation.allow_idling", "SELECT set_config('idle_in_transaction_session_timeout', '0', true)")

    private static let prepare = Statement(
        "recomputation.prepare",
        """
        SELECT set_config('TimeZone', 'UTC', true), set_config('work_mem', '256MB', true), set_config('jit', 'off', true)
        """)
}
