// Aggregation adds up the workers' raw facts, turn by turn, and keeps the results that administrators see.
// docs/metrics.md says what each number means; migrations/0014_create_metrics.sql has the tables.
import Domain
import Logging
import Metrics
import Postgres
import ServiceLifecycle
import Synchronization

/// Keeps the numbers about the installation. Any number of these may run: the one that gets the lock does the turn, the others
/// stand by and try again at their next.
public final class Aggregator: Service {
    private let database: PostgresClient
    private let configuration: AggregatorConfiguration
    private let logger: Logger
    private let currentStatus = Mutex(AggregatorStatus())
    private let gauges = AggregationMetrics()

    /// - Parameter database: its statement timeout should be minutes, since after a long absence one statement adds up what came
    ///   meanwhile.
    public init(database: PostgresClient, configuration: AggregatorConfiguration = .init(), logger: Logger) {
        self.database = database
        self.configuration = configuration
        self.logger = logger
    }

    /// How it is going.
    public var status: AggregatorStatus { currentStatus.withLock { $0 } }

    /// Does turns until graceful shutdown. While PostgreSQL is away it waits.
    public func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            var turn = Turn(database: database, configuration: configuration, logger: logger)
            currentStatus.withLock { $0.behindSince = .now() }
            var pause = Duration.zero
            while !Task.isCancelled {
                switch await outcome(of: &turn, after: pause) {
                case .led(_, let isBehind)?:
                    pause = isBehind ? .zero : configuration.pause
                case .standsBy?, nil:
                    pause = .zero
                    try? await Task.sleep(for: configuration.pause)
                }
            }
        }
    }

    /// Does a turn and notes how it went. Gives nil if it failed.
    private func outcome(of turn: inout Turn, after pause: Duration) async -> Turn.Outcome? {
        do {
            let outcome = try await turn.run(after: pause)
            let status = currentStatus.withLock { status in
                status.note(outcome, took: turn.duration)
                return status
            }
            gauges.record(outcome, status)
            return outcome
        } catch {
            guard !Task.isCancelled else { return nil }
            let (before, after) = currentStatus.withLock { status in
                let before = status
                status.note(error)
                return (before, status)
            }
            if before.problem == nil {
                logger.warning("adding up the numbers failed; trying again", metadata: ["error": "\(error)"])
            }
            gauges.recordFailure(after)
            return nil
        }
    }

    /// Does turns until everything is counted and all results are up to date; waits for another one that leads meanwhile. Gives
    /// what it has counted itself.
    @discardableResult
    public func catchUp() async throws -> FactCounts {
        var turn = Turn(database: database, configuration: configuration, logger: logger)
        var total = FactCounts()
        while true {
            switch try await turn.run(isThorough: true) {
            case .standsBy:
                // Somebody deletes messages or accounts and has not committed.
                try await Task.sleep(for: .milliseconds(20))
            case .led(let counted, let isBehind):
                total += counted
                if !isBehind { return total }
            }
        }
    }
}
