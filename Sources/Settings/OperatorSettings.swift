import Foundation

/// The settings of `attune`, the operator's tool.
public struct OperatorSettings: Sendable {
    /// Nil: the private cluster in the data folder.
    public let databaseURL: Secret<String>?
    /// Absolute path. Holds the private cluster and the keys.
    public let dataDirectory: String
    public let host: String
    /// Of the first worker; the others follow.
    public let port: Int
    public let workers: Int
    /// Public origin, without a slash at the end: the issuer of tokens. Nil when not given.
    public let siteURL: String?
    /// What the started `attune-ingest` will listen on.
    public let ingest: IngestInputSettings
    /// Of the started `attune-metrics`.
    public let metricsPort: Int
    public let adminEmail: String?
    public let adminPassword: Secret<String>?
    public let logLevel: LogLevel
    /// Every setting, those that only the daemons use included, for `attune doctor`.
    public let effective: [EffectiveSetting]

    /// See `APISettings`. What the daemons started by `attune dev` will read is checked here too.
    public init(
        environment: [String: String] = ProcessInfo.processInfo.environment, overrides: [String: String] = [:]
    ) throws(SettingsError) {
        var reader = SettingsReader(environment: environment, overrides: overrides)
        databaseURL = reader.read(SettingCatalog.databaseURL)
        // For the workers, which take it from the environment.
        _ = reader.read(SettingCatalog.feedDatabaseURL)
        _ = reader.read(SettingCatalog.sharesFeed)
        dataDirectory = absolutePath(reader.read(withDefault: SettingCatalog.dataDirectory))
        host = reader.read(withDefault: SettingCatalog.host)
        port = reader.read(withDefault: SettingCatalog.port)
        workers = reader.read(withDefault: SettingCatalog.workers)
        if port + workers - 1 > 65535 {
            let last = port + workers - 1
            reader.report(SettingCatalog.workers.name, "must leave all ports below 65536; the last would be \(last)")
        }
        siteURL = reader.read(SettingCatalog.siteURL)
        _ = reader.read(SettingCatalog.trustedProxies)
        _ = reader.read(SettingCatalog.allowedOrigins)
        _ = reader.read(SettingCatalog.newAccountsPerHour)
        _ = reader.read(SettingCatalog.maximumSockets)
        ingest = IngestInputSettings(&reader, host: host, dataDirectory: dataDirectory)
        let apiPorts = port..<port + workers
        for taken in ingest.ports where apiPorts.contains(taken) {
            reader.report(SettingCatalog.port.name, "leads to port \(taken), which attune-ingest is to have")
        }
        _ = reader.read(withDefault: SettingCatalog.ingestSpoolSize)
        _ = reader.read(SettingCatalog.rulesFolder)
        _ = reader.read(withDefault: SettingCatalog.securityRetentionDays)
        metricsPort = reader.read(withDefault: SettingCatalog.metricsPort)
        if apiPorts.contains(metricsPort) || ingest.ports.contains(metricsPort) {
            reader.report(SettingCatalog.metricsPort.name, "must differ from the ports of the other daemons")
        }
        _ = reader.read(withDefault: SettingCatalog.metricsRawDays)
        adminEmail = reader.read(SettingCatalog.adminEmail)
        adminPassword = reader.read(SettingCatalog.adminPassword)
        logLevel = reader.read(withDefault: SettingCatalog.logLevel)
        effective = reader.effective
        try reader.finish()
    }

    /// Where a browser on this machine finds the first worker.
    public var localURL: String { localOrigin(host: host, port: port) }
}
