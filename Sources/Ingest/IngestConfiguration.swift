import Rules

/// What the daemon listens on, and where it keeps what it has accepted.
public struct IngestConfiguration: Sendable {
    public var host = "127.0.0.1"
    /// Ports: 0 is any free one; see `IngestDaemon`. Nil: this input is off.
    public var httpPort = 3230
    public var tcpPort: Int? = 3231
    /// UDP and TCP.
    public var syslogPort: Int? = 3232
    public var tls: TLS?
    /// Path of the Unix socket. Nil: none.
    public var socketPath: String?
    /// Log files to follow: `[program=]path`.
    public var files: [String] = []
    /// For HTTP, and for JSON lines from other machines. Nil: the one in the data folder.
    public var token: IngestToken?
    /// Has the spools, the token, and how far files have been read.
    public var dataFolder: String
    /// Bytes that the spool may have on the disk.
    public var spoolBudget = 1 << 30
    public var rules = RuleBook.standard
    /// Older events are deleted.
    public var retentionDays = 365
    /// libpq's words.
    public var connectionString: String
    var requestLimits = RequestLimits()

    public struct TLS: Sendable {
        /// Paths of PEM files.
        public var certificate: String
        public var key: String
        public var tcpPort: Int?
        public var syslogPort: Int?

        public init(certificate: String, key: String, tcpPort: Int?, syslogPort: Int?) {
            self.certificate = certificate
            self.key = key
            self.tcpPort = tcpPort
            self.syslogPort = syslogPort
        }
    }

    public init(dataFolder: String, connectionString: String) {
        self.dataFolder = dataFolder
        self.connectionString = connectionString
    }
}
