import Domain

/// One line of a log, taken apart as far as its format allows.
public struct LogLine: Equatable, Sendable {
    public var occurredAt: Instant?
    public var host: String?
    /// Which program wrote it: syslog's tag or APP-NAME, without the process id.
    public var program: String?
    public var severity: Severity
    public var message: String

    public init(occurredAt: Instant? = nil, host: String? = nil, program: String? = nil, severity: Severity = .low, message: String) {
        self.occurredAt = occurredAt
        self.host = host
        self.program = program
        self.severity = severity
        self.message = message
    }
}
