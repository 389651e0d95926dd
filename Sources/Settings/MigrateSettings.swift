import Foundation

/// The settings of `attune-migrate`.
public struct MigrateSettings: Sendable {
    public let databaseURL: Secret<String>
    public let logLevel: LogLevel

    /// See `APISettings`.
    public init(
        environment: [String: String] = ProcessInfo.processInfo.environment, overrides: [String: String] = [:]
    ) throws(SettingsError) {
        var reader = SettingsReader(environment: environment, overrides: overrides)
        databaseURL = reader.readDatabaseURL()
        logLevel = reader.read(withDefault: SettingCatalog.logLevel)
        try reader.finish()
    }
}
