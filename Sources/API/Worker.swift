import Accounts
import Domain
import Feed
import Live
import Logging
import Postgres
import Registry
import Schema
import ServiceLifecycle
import Store
import Telemetry
import Usage

/// An API worker: everything that one `attune-api` process runs, put together.
public struct Worker: Service {
    public struct Configuration: Sendable {
        public var server: APIServer.Configuration
        /// Issuer of tokens: the same for all workers of an installation.
        public var siteURL: String
        /// Has the folder of keys, the socket by which workers share their feed, and the spools of security events; the same for
        /// all workers of an installation.
        public var dataFolder: String
        /// libpq's words.
        public var connectionString: String
        /// For the change feed, when `connectionString` leads to PgBouncer, which replication does not pass through.
        public var feedConnectionString: String?
        /// Read the log through one slot with the other workers of this data folder.
        public var sharesFeed = true
        /// How many accounts one network may make in an hour.
        public var newAccountsPerHour = 200
        /// For security events that PostgreSQL does not have yet, in bytes on the disk. Further ones are lost, and counted.
        public var spoolBudget = 256 << 20
        /// How often it is stored what clients have called.
        public var usagePeriod: Duration = .seconds(5)
        public var live = LiveQueries.Configuration()

        public init(server: APIServer.Configuration, siteURL: String, dataFolder: String, connectionString: String) {
            self.server = server
            self.siteURL = siteURL
            self.dataFolder = dataFolder
            self.connectionString = connectionString
        }
    }

    private let services: [any Service]
    private let databases: [PostgresClient]
    private let events: EventPath?
    private let migrator: Migrator
    private let logger: Logger

    /// - Parameters:
    ///   - functions: the API.
    ///   - onRunning: called with the port when connections are accepted.
    public init(
        _ configuration: Configuration, functions: [FunctionDefinition], metrics: PrometheusRegistry, logger: Logger,
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) throws {
        func client(_ purpose: String, leases: Int = 8) -> PostgresClient {
            var settings = PostgresClient.Configuration(
                connection: ConnectionSettings(
                    connectionString: configuration.connectionString, applicationName: "attune-api \(purpose)"))
            settings.leases = leases
            return PostgresClient(settings, logger: logger)
        }
        let database = client("functions")
        // Ticks and held snapshots keep transactions open. With connections of their own they and the functions cannot
        // starve each other.
        let tickDatabase = client("ticks", leases: 2)
        let snapshotDatabase = client("snapshots", leases: 8)
        // So do reports that wait for a lock.
        let reportDatabase = client("reports", leases: 3)
        databases = [database, tickDatabase, snapshotDatabase, reportDatabase]
        migrator = Migrator(client: database, logger: logger)

        let events = Self.openEvents(configuration, database: reportDatabase, logger: logger)
        self.events = events
        if let events { metrics.beforeRendering(events.publishMetrics) }

        var accountsConfiguration = Accounts.Configuration(issuer: configuration.siteURL)
        accountsConfiguration.newAccountsPerHour = configuration.newAccountsPerHour
        let keys = try SigningKeys(dataFolder: configuration.dataFolder)
        let accounts = Accounts(
            database: database, keys: keys, configuration: accountsConfiguration, events: events?.log, logger: logger)
        let usage = UsageMeter()
        let runner = FunctionRunner(
            functions: functions, database: database, accounts: accounts, cursorSecret: keys.cursorSecret,
            events: events?.log, usage: usage, logger: logger)
        let feedConnection = ConnectionSettings(
            connectionString: configuration.feedConnectionString ?? configuration.connectionString,
            applicationName: "attune-api feed")
        let feed: any ChangeFeed = configuration.sharesFeed
            ? SharedSlotFeed(connection: feedConnection, folder: configuration.dataFolder + "/feed", logger: logger)
            : LogicalSlotFeed(connection: feedConnection, logger: logger)
        let live = LiveQueries(
            configuration: configuration.live, runner: runner, accounts: accounts, database: database, tickDatabase: tickDatabase,
            feed: FallbackFeed(feed), logger: logger)
        let server = APIServer(
            configuration: configuration.server, runner: runner, accounts: accounts, live: live,
            snapshots: HeldSnapshots(database: snapshotDatabase, logger: logger), database: database, events: events,
            metrics: metrics, logger: logger, onRunning: onRunning)
        // They end in reverse order: when the last calls are reported, the server has answered them.
        services = (events?.services ?? []) + [
            UsageReporting(meter: usage, database: reportDatabase, period: configuration.usagePeriod, logger: logger),
            LiveService(live: live), HousekeepingService(database: database, logger: logger),
            KeyReloadService(keys: keys, logger: logger), server,
        ]
        self.logger = logger
    }

    /// Nil, which the log and `/health/ready` tell, if there can be no spool: a full disk must not keep people from talking.
    private static func openEvents(_ configuration: Configuration, database: PostgresClient, logger: Logger) -> EventPath? {
        do {
            return try EventPath(
                dataFolder: configuration.dataFolder, port: configuration.server.port, budget: configuration.spoolBudget,
                database: database, logger: logger)
        } catch {
            logger.critical("no spool for security events: this worker reports none", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Runs until graceful shutdown or cancellation. Refuses to begin on a schema that is not this program's.
    public func run() async throws {
        do {
            try await migrator.requireCurrent()
            let group = ServiceGroup(
                configuration: .init(services: services.map { .init(service: $0) }, logger: logger))
            try await group.run()
        } catch {
            await close()
            throw error
        }
        await close()
    }

    private func close() async {
        events?.spool.close()
        for database in databases { await database.close() }
    }
}

/// Ticks as long as there is somebody to tick for.
private struct LiveService: Service {
    let live: LiveQueries

    func run() async throws {
        await cancelWhenGracefulShutdown { await live.run() }
    }
}

/// Deletes once an hour what nobody needs any more. Any number of workers may do it at once.
private struct HousekeepingService: Service {
    let database: PostgresClient
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // Not at the start: workers that are restarted often have better things to do, and do not do it in step.
                try? await Task.sleep(for: .seconds(Double.random(in: 3000...4200)))
                guard !Task.isCancelled else { return }
                do {
                    let report = try await Housekeeping.run(in: database, now: .now())
                    logger.info("deleted what is out of date", metadata: ["rows": "\(report.total)"])
                } catch {
                    logger.warning("housekeeping failed; it will be tried again in an hour", metadata: ["error": "\(error)"])
                }
            }
        }
    }
}

/// Takes up keys that `attune keys rotate` has made in another process.
private struct KeyReloadService: Service {
    let keys: SigningKeys
    let logger: Logger

    /// A few small files are read each time.
    private static let interval = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                guard !Task.isCancelled else { return }
                do {
                    try keys.reload()
                } catch {
                    logger.warning("the signing keys could not be read; those in use stay", metadata: ["error": "\(error)"])
                }
            }
        }
    }
}
