import API
import ArgumentParser
import Functions
import Logging
import Metrics
import ServiceLifecycle
import Settings
import Telemetry
import UnixSignals

/// `attune-api`: one API worker. Settings come from the environment; see docs/settings.md.
@main
struct AttuneAPI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attune-api", abstract: "Serves the function API and the sync socket.", version: attuneVersion)

    func run() async throws {
        let settings = try APISettings()
        LoggingSystem.bootstrapLines(level: Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info)
        let logger = Logger(label: "attune-api")
        let metrics = PrometheusRegistry()
        MetricsSystem.bootstrap(metrics)

        var configuration = Worker.Configuration(
            server: APIServer.Configuration(
                host: settings.host, port: settings.port,
                addresses: ClientAddressResolver(trustedProxies: settings.trustedProxies),
                allowsOrigin: settings.allowedOrigins.contains),
            siteURL: settings.siteURL, dataFolder: settings.dataDirectory, connectionString: settings.databaseURL.revealed)
        configuration.feedConnectionString = settings.feedDatabaseURL?.revealed
        configuration.newAccountsPerHour = settings.newAccountsPerHour
        let worker = try Worker(configuration, functions: allFunctions, metrics: metrics, logger: logger) { port in
            logger.notice("accepting connections", metadata: ["port": "\(port)"])
        }
        var group = ServiceGroupConfiguration(
            services: [.init(service: worker)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(15)
        try await ServiceGroup(configuration: group).run()
    }
}
