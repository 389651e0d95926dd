/// What the daemon listens on, and where it keeps what it has accepted.
public struct IngestConfiguration: Sendable {
    public var host = "127.0.0.1"
    public var httpPort = 3230
    public var tcpPort = 3231
    public var syslogPort = 3232

    public init() {}
}
