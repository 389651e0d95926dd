import Foundation

/// The settings of `attune-metrics`.
public struct MetricsSettings: Sendable {
    public let host: String
    public let port: Int
    public let databaseURL: Secret<String>
    /// For raw facts.
    public let retentionDays: Int
    public let logLevel: LogLevel

    /// See `APISettings`.
    public init(
        environment: [String: String] = ProcessInfo.processInfo.environment, overrides: [String: String] = [:]
    ) throws(SettingsError) {
        var reader = SettingsReader(environment: environment, overrides: overrides)
        host = reader.read(withDefault: SettingCatalog.host)
        port = reader.read(withDefault: SettingCatalog.metricsPort)
        databaseURL = reader.readDatabaseURL()
        retentionDays = reader.read(withDefault: SettingCatalog.metricsRawDays)
        logLevel = reader.read(withDefault: SettingCatalog.logLevel)
        try reader.finish()
    }
}
