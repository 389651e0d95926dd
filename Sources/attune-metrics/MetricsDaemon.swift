import Aggregation
import Domain
import Logging
import Metrics
import Postgres
import Schema
import ServiceLifecycle
import Settings
import Status
import Telemetry
import Wire

/// Everything that one `attune-metrics` process runs, put together.
struct MetricsDaemon: Service {
    private let settings: MetricsSettings
    private let metrics: PrometheusRegistry
    private let database: PostgresClient
    private let logger: Logger

    init(_ settings: MetricsSettings, metrics: PrometheusRegistry, logger: Logger) {
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(
                connectionString: settings.databaseURL.revealed, applicationName: "attune-metrics"))
        configuration.readers = 1
        configuration.writers = 1
        configuration.leases = 2
        // After a long absence one statement adds up what has come meanwhile.
        configuration.statementTimeout = .seconds(600)
        database = PostgresClient(configuration, logger: logger)
    }

    /// Runs until graceful shutdown or cancellation. Refuses to begin on a schema that is not this program's.
    func run() async throws {
        do {
            guard try await cancelWhenGracefulShutdown({ try await waitForDatabase() }) else { return await database.close() }
            try await runServices()
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }

    /// Waits while PostgreSQL is away: after a failure of the power it may start later than we do.
    ///
    /// - Returns: false when the daemon stops before.
    private func waitForDatabase() async throws -> Bool {
        var hasFailed = false
        while !Task.isCancelled {
            do {
                try await Migrator(client: database, logger: logger).requireCurrent()
                return true
            } catch let error as PostgresError where error.isUnavailability {
                if !hasFailed, !Task.isCancelled {
                    logger.warning("PostgreSQL cannot be reached; trying again", metadata: ["error": "\(error)"])
                }
                hasFailed = true
            }
            try? await Task.sleep(for: .seconds(1))
        }
        return false
    }

    private func runServices() async throws {
        var configuration = AggregatorConfiguration()
        configuration.retentionDays = settings.retentionDays
        let aggregator = Aggregator(database: database, configuration: configuration, logger: logger)
        let lastTurn = Gauge(label: "attune_aggregation_last_turn_timestamp_seconds")
        // A turn that hangs shows.
        metrics.beforeRendering { lastTurn.record((aggregator.status.lastTurnEnded?.milliseconds ?? 0) / 1000) }
        let pages = StatusPages(metrics: metrics) { [database] in await Self.report(aggregator.status, database) }
        let server = StatusServer(pages, host: settings.host, port: settings.port, logger: logger) { [logger] port in
            logger.notice("adding up, or standing by", metadata: ["port": "\(port)"])
        }
        // The last one is stopped first.
        let services: [any Service] = [LoadReporting(database: database, logger: logger), aggregator, server]
        try await ServiceGroup(services: services, logger: logger).run()
    }

    /// Ready while turns succeed, its own or those of the one that leads. After a long absence the first one may take a minute.
    private static func report(_ status: AggregatorStatus, _ database: PostgresClient) async -> ReadinessReport {
        let databaseAnswers = (try? await database.read(probe())) != nil
        let now = Instant.now()
        return ReadinessReport(isReady: databaseAnswers && status.problem == nil) { writer in
            func write(_ duration: Duration) { writer.integer(Int(duration / .milliseconds(1))) }
            writer.field("database")
            writer.bool(databaseAnswers)
            writer.field("role")
            writer.string(status.role.rawValue)
            if let problem = status.problem {
                writer.field("problem")
                writer.string(problem)
            }
            if let ended = status.lastTurnEnded {
                writer.field("lastTurnAgeMilliseconds")
                write(now - ended)
            }
            if let duration = status.lastTurnDuration {
                writer.field("lastTurnMilliseconds")
                write(duration)
            }
            writer.field("lagMilliseconds")
            write(status.behindSince.map { now - $0 } ?? .zero)
        }
    }

    private static let probe = Statement("health.probe", "SELECT 1")
}
