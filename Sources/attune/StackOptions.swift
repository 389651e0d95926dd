import ArgumentParser
import Settings

/// The options that every command takes: where the data is.
struct PlaceOptions: ParsableArguments {
    @Option(help: "\(SettingCatalog.databaseURL.help)")
    var databaseURL: String?

    @Option(help: "\(SettingCatalog.dataDirectory.help)")
    var dataDir: String?

    @Option(help: "\(SettingCatalog.siteURL.help)")
    var siteURL: String?

    /// By the variables' names.
    var overrides: [String: String] {
        [
            SettingCatalog.databaseURL.name: databaseURL, SettingCatalog.dataDirectory.name: dataDir,
            SettingCatalog.siteURL.name: siteURL,
        ].compactMapValues { $0 }
    }
}

/// The options of `attune dev` besides those.
struct StackOptions: ParsableArguments {
    @Option(help: "\(SettingCatalog.host.help)")
    var host: String?

    @Option(help: "\(SettingCatalog.port.help)")
    var port: String?

    @Option(help: "\(SettingCatalog.workers.help)")
    var workers: String?

    @Option(help: "\(SettingCatalog.sharesFeed.help)")
    var feedShared: String?

    @Option(help: "\(SettingCatalog.trustedProxies.help)")
    var trustedProxies: String?

    @Option(help: "\(SettingCatalog.allowedOrigins.help)")
    var allowedOrigins: String?

    @Option(help: "\(SettingCatalog.newAccountsPerHour.help)")
    var newAccountsPerHour: String?

    @Option(help: "\(SettingCatalog.maximumSockets.help)")
    var maxSockets: String?

    @Option(help: "\(SettingCatalog.ingestHTTPPort.help)")
    var ingestHttpPort: String?

    @Option(help: "\(SettingCatalog.ingestTCPPort.help)")
    var ingestTcpPort: String?

    @Option(help: "\(SettingCatalog.ingestSyslogPort.help)")
    var ingestSyslogPort: String?

    @Option(help: "\(SettingCatalog.ingestSocket.help)")
    var ingestSocket: String?

    @Option(help: "\(SettingCatalog.ingestFiles.help)")
    var ingestFiles: String?

    @Option(help: "\(SettingCatalog.ingestCertificate.help)")
    var ingestTlsCertificate: String?

    @Option(help: "\(SettingCatalog.ingestKey.help)")
    var ingestTlsKey: String?

    @Option(help: "\(SettingCatalog.ingestTLSTCPPort.help)")
    var ingestTlsTcpPort: String?

    @Option(help: "\(SettingCatalog.ingestTLSSyslogPort.help)")
    var ingestTlsSyslogPort: String?

    @Option(help: "\(SettingCatalog.ingestSpoolSize.help)")
    var ingestSpoolMb: String?

    @Option(help: "\(SettingCatalog.rulesFolder.help)")
    var rules: String?

    @Option(help: "\(SettingCatalog.securityRetentionDays.help)")
    var securityRetentionDays: String?

    @Option(help: "\(SettingCatalog.metricsPort.help)")
    var metricsPort: String?

    @Option(help: "\(SettingCatalog.metricsRawDays.help)")
    var metricsRawDays: String?

    @Option(help: "\(SettingCatalog.logLevel.help)")
    var logLevel: String?

    @Option(help: "\(SettingCatalog.adminEmail.help)")
    var adminEmail: String?

    /// By the variables' names.
    var overrides: [String: String] {
        [
            SettingCatalog.host.name: host, SettingCatalog.port.name: port, SettingCatalog.workers.name: workers,
            SettingCatalog.sharesFeed.name: feedShared,
            SettingCatalog.trustedProxies.name: trustedProxies, SettingCatalog.allowedOrigins.name: allowedOrigins,
            SettingCatalog.newAccountsPerHour.name: newAccountsPerHour, SettingCatalog.maximumSockets.name: maxSockets,
            SettingCatalog.ingestHTTPPort.name: ingestHttpPort, SettingCatalog.ingestTCPPort.name: ingestTcpPort,
            SettingCatalog.ingestSyslogPort.name: ingestSyslogPort, SettingCatalog.ingestSocket.name: ingestSocket,
            SettingCatalog.ingestFiles.name: ingestFiles, SettingCatalog.ingestCertificate.name: ingestTlsCertificate,
            SettingCatalog.ingestKey.name: ingestTlsKey, SettingCatalog.ingestTLSTCPPort.name: ingestTlsTcpPort,
            SettingCatalog.ingestTLSSyslogPort.name: ingestTlsSyslogPort,
            SettingCatalog.ingestSpoolSize.name: ingestSpoolMb, SettingCatalog.rulesFolder.name: rules,
            SettingCatalog.securityRetentionDays.name: securityRetentionDays,
            SettingCatalog.metricsPort.name: metricsPort, SettingCatalog.metricsRawDays.name: metricsRawDays,
            SettingCatalog.logLevel.name: logLevel, SettingCatalog.adminEmail.name: adminEmail,
        ].compactMapValues { $0 }
    }
}
