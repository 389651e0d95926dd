/// The ways by which events come in. The ledger is kept by them.
public enum Input: UInt8, CaseIterable, Sendable {
    case http = 1
    case tcp
    case unix
    case syslogUDP
    case syslogTCP
    case file
    case `import`
    /// What API workers report.
    case api

    /// As in the ledger and in metrics.
    public var name: String {
        switch self {
        case .http: "http"
        case .tcp: "tcp"
        case .unix: "unix"
        case .syslogUDP: "syslog_udp"
        case .syslogTCP: "syslog_tcp"
        case .file: "file"
        case .import: "import"
        case .api: "api"
        }
    }
}
