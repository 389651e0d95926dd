import Aggregation
import ArgumentParser
import Logging
import Schema

/// `attune metrics`
struct Metrics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks after the numbers that attune-metrics adds up.", subcommands: [Recompute.self])

    struct Recompute: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Computes every number anew from raw rows.",
            discussion: """
                Calls and activity of which the raw rows are gone (ATTUNE_METRICS_RAW_DAYS) stay as they are. With --check what \
                is new is counted, and nothing else is changed: a line for each number that differs, and exit status 1 if there \
                are any.
                """)

        @OptionGroup var place: PlaceOptions
        @Flag(help: "Compare only.") var check = false

        func run() async throws {
            // All messages and accounts are read.
            try await place.withDatabase(place.settings(), statementTimeout: .seconds(3600)) { database in
                let logger = Logger(label: "attune")
                try await Migrator(client: database, logger: logger).requireCurrent()
                let recomputation = MetricsRecomputation(database: database, logger: logger)
                if check {
                    try await compare(recomputation)
                } else {
                    try await recomputation.rebuild()
                    Terminal.print("Counted everything anew.")
                }
            }
        }

        private func compare(_ recomputation: MetricsRecomputation) async throws {
            let differences = try await recomputation.check(limit: Self.maximumShown)
            guard differences.isEmpty else {
                for difference in differences { Terminal.print("\(difference)") }
                Terminal.note("'attune metrics recompute' puts them right.")
                throw ExitCode(1)
            }
            Terminal.print("Every number is what the raw rows say.")
        }

        /// Of the differences in one table.
        private static let maximumShown = 1000
    }
}
