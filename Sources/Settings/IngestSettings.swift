import Foundation

/// The settings of `attune-ingest`.
public struct IngestSettings: Sendable {
    public let databaseURL: Secret<String>
    /// Absolute path. Holds the spool and the token.
    public let dataDirectory: String
    public let inputs: IngestInputSettings
    /// In bytes.
    public let spoolBudget: Int
    /// Absolute path. Nil: the built-in rules.
    public let rulesFolder: String?
    public let retentionDays: Int
    public let logLevel: LogLevel

    /// See `APISettings`.
    public init(
        environment: [String: String] = ProcessInfo.processInfo.environment, overrides: [String: String] = [:]
    ) throws(SettingsError) {
        var reader = SettingsReader(environment: environment, overrides: overrides)
        databaseURL = reader.readDatabaseURL()
        dataDirectory = absolutePath(reader.read(withDefault: SettingCatalog.dataDirectory))
        inputs = IngestInputSettings(&reader, host: reader.read(withDefault: SettingCatalog.host), dataDirectory: dataDirectory)
        spoolBudget = reader.read(withDefault: SettingCatalog.ingestSpoolSize) << 20
        rulesFolder = reader.read(SettingCatalog.rulesFolder).map(absolutePath)
        retentionDays = reader.read(withDefault: SettingCatalog.securityRetentionDays)
        logLevel = reader.read(withDefault: SettingCatalog.logLevel)
        try reader.finish()
    }
}

/// By what ways `attune-ingest` takes events in.
public struct IngestInputSettings: Sendable {
    public let host: String
    public let httpPort: Int
    /// JSON lines. Nil: none.
    public let tcpPort: Int?
    /// UDP and TCP. Nil: none.
    public let syslogPort: Int?
    /// Of the Unix socket; absolute.
    public let socketPath: String
    /// Log files to follow: absolute paths, each after the name of the program that writes it and `=`, or without.
    public let files: [String]
    /// For HTTP. Nil: the one in the data folder.
    public let token: Secret<String>?
    /// Nil: no TLS.
    public let tls: TLS?

    public struct TLS: Sendable {
        /// PEM files, absolute.
        public let certificate: String
        public let key: String
        /// JSON lines. Nil: none.
        public let tcpPort: Int?
        /// Nil: no syslog.
        public let syslogPort: Int?
    }

    init(_ reader: inout SettingsReader, host: String, dataDirectory: String) {
        self.host = host
        httpPort = reader.read(withDefault: SettingCatalog.ingestHTTPPort)
        tcpPort = reader.readOptionalPort(SettingCatalog.ingestTCPPort)
        syslogPort = reader.readOptionalPort(SettingCatalog.ingestSyslogPort)
        socketPath = reader.read(SettingCatalog.ingestSocket).map(absolutePath) ?? dataDirectory + "/ingest.sock"
        files = reader.read(withDefault: SettingCatalog.ingestFiles)
        token = reader.read(SettingCatalog.ingestToken)
        let certificate = reader.read(SettingCatalog.ingestCertificate).map(absolutePath)
        let key = reader.read(SettingCatalog.ingestKey).map(absolutePath)
        let tlsTCPPort = reader.readOptionalPort(SettingCatalog.ingestTLSTCPPort)
        let tlsSyslogPort = reader.readOptionalPort(SettingCatalog.ingestTLSSyslogPort)
        switch (certificate, key) {
        case (let certificate?, let key?):
            tls = TLS(certificate: certificate, key: key, tcpPort: tlsTCPPort, syslogPort: tlsSyslogPort)
        case (nil, nil): tls = nil
        case (let certificate, _):
            let missing = certificate == nil ? SettingCatalog.ingestCertificate : SettingCatalog.ingestKey
            reader.report(missing.name, "is not set: certificate and key belong together")
            tls = nil
        }
        if Set(ports).count < ports.count {
            reader.report(SettingCatalog.ingestHTTPPort.name, "and the other ports of attune-ingest must differ")
        }
    }

    /// All that are listened on.
    public var ports: [Int] { [httpPort, tcpPort, syslogPort, tls?.tcpPort, tls?.syslogPort].compactMap(\.self) }
}

extension SettingsReader {
    /// A port that 0 turns off.
    fileprivate mutating func readOptionalPort(_ setting: Setting<Int>) -> Int? {
        let port = read(withDefault: setting)
        return port == 0 ? nil : port
    }
}

/// Where an installation's data is, for commands that need nothing else.
public struct DataFolderSettings: Sendable {
    /// Absolute path.
    public let dataDirectory: String

    /// See `APISettings`.
    public init(
        environment: [String: String] = ProcessInfo.processInfo.environment, overrides: [String: String] = [:]
    ) throws(SettingsError) {
        var reader = SettingsReader(environment: environment, overrides: overrides)
        dataDirectory = absolutePath(reader.read(withDefault: SettingCatalog.dataDirectory))
        try reader.finish()
    }
}
