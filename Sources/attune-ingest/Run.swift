import ArgumentParser
import Ingest
import Logging
import Metrics
import ServiceLifecycle
import Settings
import Telemetry
import UnixSignals

/// `attune-ingest run`
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Takes events in until it is told to stop.")

    func run() async throws {
        let settings = try IngestSettings()
        let rules = try settings.loadRules()
        LoggingSystem.bootstrapLines(level: Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info)
        let metrics = PrometheusRegistry()
        MetricsSystem.bootstrap(metrics)
        let logger = Logger(label: "attune-ingest")

        _ = raiseOpenFileLimit()
        var configuration = IngestConfiguration(
            dataFolder: settings.dataDirectory, connectionString: settings.databaseURL.revealed)
        configuration.host = settings.inputs.host
        configuration.httpPort = settings.inputs.httpPort
        configuration.tcpPort = settings.inputs.tcpPort
        configuration.syslogPort = settings.inputs.syslogPort
        configuration.tls = settings.inputs.tls.map {
            .init(certificate: $0.certificate, key: $0.key, tcpPort: $0.tcpPort, syslogPort: $0.syslogPort)
        }
        configuration.socketPath = settings.inputs.socketPath
        configuration.files = settings.inputs.files
        configuration.token = settings.inputs.token.map { IngestToken($0.revealed) }
        configuration.spoolBudget = settings.spoolBudget
        configuration.rules = rules
        configuration.retentionDays = settings.retentionDays

        var group = ServiceGroupConfiguration(
            services: [.init(service: IngestDaemon(configuration, metrics: metrics, logger: logger))],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        // Then what is being stored is given up; it is stored after the next start.
        group.maximumGracefulShutdownDuration = .seconds(30)
        try await ServiceGroup(configuration: group).run()
    }
}
