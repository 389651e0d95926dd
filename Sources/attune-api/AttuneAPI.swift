import API
import ArgumentParser
import Functions
import Logging
import Metrics
import ServiceLifecycle
import Settings
import Telemetry
import UnixSignals

#if DEBUG
import Domain
import Foundation
#endif

/// `attune-api`: one API worker. Settings come from the environment; see docs/settings.md.
@main
struct AttuneAPI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attune-api", abstract: "Serves the function API and the sync socket.", version: attuneVersion)

    func run() async throws {
        let settings = try APISettings()
        #if DEBUG
        Sabotage.choose(ProcessInfo.processInfo.environment["ATTUNE_SABOTAGE"].flatMap(Sabotage.init))
        #endif
        LoggingSystem.bootstrapLines(level: Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info)
        let logger = Logger(label: "attune-api")
        let metrics = PrometheusRegistry()
        MetricsSystem.bootstrap(metrics)

        let openFiles = raiseOpenFileLimit()
        if openFiles < settings.maximumSockets + 200 {
            logger.warning(
                "the operating system allows fewer open files than there may be sockets",
                metadata: ["allowed": "\(openFiles)", "sockets": "\(settings.maximumSockets)"])
        }

        var configuration = Worker.Configuration(
            server: APIServer.Configuration(
                host: settings.host, port: settings.port,
                addresses: ClientAddressResolver(trustedProxies: settings.trustedProxies),
                allowsOrigin: settings.allowedOrigins.contains),
            siteURL: settings.siteURL, dataFolder: settings.dataDirectory, connectionString: settings.databaseURL.revealed)
        configuration.feedConnectionString = settings.feedDatabaseURL?.revealed
        configuration.sharesFeed = settings.sharesFeed
        configuration.newAccountsPerHour = settings.newAccountsPerHour
        configuration.server.limits.sockets = settings.maximumSockets
        let worker = try Worker(configuration, functions: allFunctions, metrics: metrics, logger: logger) { port in
            logger.notice("accepting connections", metadata: ["port": "\(port)"])
        }
        var group = ServiceGroupConfiguration(
            services: [.init(service: worker)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        // Most of it is for `ConnectionLimits.longestFarewell`, which has to end before.
        group.maximumGracefulShutdownDuration = .seconds(30)
        try await ServiceGroup(configuration: group).run()
    }
}
