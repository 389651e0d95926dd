/// A security event as whoever saw it reports it. Once stored it is a row of `security_events`.
public struct ReportedEvent: Equatable, Sendable {
    /// Who reports it: a URI reference, as CloudEvents' `source`. At most 256 bytes.
    public var source: String
    /// Names the event among all those of its source, so that a repeated report is stored once. At most 256 bytes. Nil: each
    /// report is an event of its own.
    public var id: String?
    public var occurredAt: Instant
    /// See `SecurityEventType`. 1 to 128 bytes.
    public var type: String
    public var severity: Severity
    public var userID: UserID?
    public var ip: IPAddress?
    /// One sentence for people.
    public var details: String
    /// Anything else that is known: a JSON object's text, or plain text.
    public var context: String?

    public init(
        source: String, id: String? = nil, occurredAt: Instant, type: String, severity: Severity, userID: UserID? = nil,
        ip: IPAddress? = nil, details: String, context: String? = nil
    ) {
        self.source = source
        self.id = id
        self.occurredAt = occurredAt
        self.type = type
        self.severity = severity
        self.userID = userID
        self.ip = ip
        self.details = details
        self.context = context
    }
}

extension ReportedEvent {
    /// The source of events that rules have raised. Rules do not look at these, so nobody else may report under this name.
    public static let detectionSource = "attune:detection"
}

/// How much an event matters.
public enum Severity: String, CaseIterable, Comparable, Sendable {
    case low, medium, high, critical

    public static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .low: 0
        case .medium: 1
        case .high: 2
        case .critical: 3
        }
    }
}

/// Takes reports of security events. Never in the way: returns at once, and never fails the caller's work.
public protocol EventReporter: Sendable {
    func report(_ event: ReportedEvent)
}

/// Types of events, by the OWASP Logging Vocabulary where it has a word.
public enum SecurityEventType {
    // Authentication.
    public static let loginSuccess = "authn_login_success"
    public static let loginFail = "authn_login_fail"
    public static let loginFailMax = "authn_login_fail_max"
    public static let passwordChange = "authn_password_change"
    public static let tokenReuse = "authn_token_reuse"
    // Authorization.
    public static let accessRefused = "authz_fail"
    public static let roleChange = "authz_change"
    public static let adminAction = "authz_admin"
    // Excessive use.
    public static let rateLimited = "excess_rate_limit_exceeded"
    // Data.
    public static let sensitiveRead = "sensitive_read"
    // Sessions.
    public static let sessionCreated = "session_created"
    public static let sessionEnded = "session_expired"
    // System.
    public static let startup = "sys_startup"
    public static let shutdown = "sys_shutdown"
    public static let crash = "sys_crash"
    // Accounts.
    public static let userCreated = "user_created"
    public static let userUpdated = "user_updated"
    public static let userDeleted = "user_deleted"
    // Ours.
    /// A log line that no rule knows.
    public static let syslog = "syslog"
    /// Events that could not be kept; how many is in the details.
    public static let eventsLost = "attune_events_lost"
}
