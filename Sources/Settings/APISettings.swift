import Domain
import Foundation

/// The settings of `attune-api`.
public struct APISettings: Sendable {
    public let host: String
    public let port: Int
    public let databaseURL: Secret<String>
    /// Straight to the server, when `databaseURL` leads to PgBouncer.
    public let feedDatabaseURL: Secret<String>?
    public let sharesFeed: Bool
    /// Absolute path. Holds the keys.
    public let dataDirectory: String
    /// Public origin, without a slash at the end: the issuer of tokens.
    public let siteURL: String
    /// Peers whose `X-Forwarded-For` is believed.
    public let trustedProxies: [IPRange]
    public let allowedOrigins: AllowedOrigins
    public let newAccountsPerHour: Int
    /// Of one worker.
    public let maximumSockets: Int
    public let logLevel: LogLevel

    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - overrides: what was given as flags, by the variable's name; they win.
    /// - Throws: all problems together.
    public init(
        environment: [String: String] = ProcessInfo.processInfo.environment, overrides: [String: String] = [:]
    ) throws(SettingsError) {
        var reader = SettingsReader(environment: environment, overrides: overrides)
        host = reader.read(withDefault: SettingCatalog.host)
        port = reader.read(withDefault: SettingCatalog.port)
        databaseURL = reader.readDatabaseURL()
        feedDatabaseURL = reader.read(SettingCatalog.feedDatabaseURL)
        sharesFeed = reader.read(withDefault: SettingCatalog.sharesFeed)
        dataDirectory = absolutePath(reader.read(withDefault: SettingCatalog.dataDirectory))
        siteURL = reader.read(SettingCatalog.siteURL) ?? localOrigin(host: host, port: port)
        trustedProxies = reader.read(withDefault: SettingCatalog.trustedProxies)
        allowedOrigins = reader.read(withDefault: SettingCatalog.allowedOrigins)
        newAccountsPerHour = reader.read(withDefault: SettingCatalog.newAccountsPerHour)
        maximumSockets = reader.read(withDefault: SettingCatalog.maximumSockets)
        logLevel = reader.read(withDefault: SettingCatalog.logLevel)
        try reader.finish()
    }
}
