// Aggregation adds up the workers' raw facts, turn by turn, and keeps the results that administrators see.
// docs/metrics.md says what each number means; migrations/0010_create_metrics.sql has the tables.
import Domain
import Logging
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
    public func run() async throws {}

    /// Does turns until everything is counted, for as long as another one leads waiting for it. Gives what it has counted.
    @discardableResult
    public func catchUp() async throws -> FactCounts { FactCounts() }
}
