import ArgumentParser
import Logging
import Metrics
import ServiceLifecycle
import Settings
import Telemetry
import UnixSignals

/// `attune-metrics`: the aggregator. Settings come from the environment; see docs/settings.md.
@main
struct AttuneMetrics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attune-metrics", abstract: "Adds up what the workers report. Of any number that run, one does it.",
        version: attuneVersion)

    func run() async throws {
        let settings = try MetricsSettings()
        LoggingSystem.bootstrapLines(level: Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info)
        let metrics = PrometheusRegistry()
        MetricsSystem.bootstrap(metrics)
        let logger = Logger(label: "attune-metrics")

        var group = ServiceGroupConfiguration(
            services: [.init(service: MetricsDaemon(settings, metrics: metrics, logger: logger))],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        // Then a turn is given up, and PostgreSQL undoes it; the next one, here or elsewhere, counts the same facts.
        group.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: group).run()
    }
}
