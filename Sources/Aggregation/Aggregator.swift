// Aggregation adds up the workers' raw facts, turn by turn, and keeps the results that administrators see.
// docs/metrics.md says what each number means; migrations/0010_create_metrics.sql has the tables.
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
            while !Task.isCancelled {
                let start = ContinuousClock.now
                if await !isBehind(after: &turn) { try? await Task.sleep(until: start + configuration.pause) }
            }
        }
    }

    /// Does a turn and notes how it went. Gives whether there is more to count at once.
    private func isBehind(after turn: inout Turn) async -> Bool {
        let (start, clock) = (Instant.now(), ContinuousClock.now)
        do {
            let outcome = try await turn.run()
            let duration = ContinuousClock.now - clock
            let status = currentStatus.withLock { status in
                status.note(outcome, began: start, took: duration)
                return status
            }
            gauges.record(outcome, status, took: duration)
            if case .led(_, isBehind: true) = outcome { return true }
        } catch {
            guard !Task.isCancelled else { return false }
            let status = currentStatus.withLock { status in
                defer { status.note(error, at: start) }
                return status
            }
            if status.problem == nil {
                logger.warning("adding up the numbers failed; trying again", metadata: ["error": "\(error)"])
            }
            gauges.recordFailure(self.status)
        }
        return false
    }

    /// Does turns until everything is counted and all results are up to date; waits for another one that leads meanwhile. Gives
    /// what it has counted itself.
    @discardableResult
    public func catchUp() async throws -> FactCounts {
        var turn = Turn(database: database, configuration: configuration, logger: logger)
        var total = FactCounts()
        while true {
            try Task.checkCancellation()
            switch try await turn.run(isThorough: true) {
            case .standsBy:
                try await Task.sleep(for: .milliseconds(20))
            case .led(let counted, let isBehind):
                total += counted
                if !isBehind { return total }
            }
        }
    }
}
