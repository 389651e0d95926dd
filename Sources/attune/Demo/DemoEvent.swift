import Domain

/// A kind of security event that the demo has in its last day.
struct DemoEvent {
    enum Subject {
        case anybody, administrator

        func includes(_ person: DemoPerson) -> Bool { self == .anybody || person.role == .admin }
    }

    let type: String
    let severity: Severity
    let details: String
    /// So many of them, at any time of the day.
    var count = 0
    /// Just then instead.
    var minutesAgo: [Int]?
    var subject: Subject?
    /// The first three numbers of the address, of networks that are for documentation (RFC 5737).
    var network: String?
    /// The text of a JSON object.
    var context: String?
}

extension DemoEvent {
    static let all = [
        DemoEvent(
            type: SecurityEventType.loginSuccess, severity: .low, details: "Signed in.", count: 64, subject: .anybody,
            network: "192.0.2."),
        DemoEvent(
            type: SecurityEventType.sessionEnded, severity: .low, details: "Signed out.", count: 23, subject: .anybody,
            network: "192.0.2."),
        DemoEvent(
            type: SecurityEventType.userUpdated, severity: .low, details: "Changed the profile.", count: 7, subject: .anybody,
            network: "192.0.2."),
        DemoEvent(
            type: SecurityEventType.adminAction, severity: .low, details: "An administrator looked at security events.", count: 9,
            subject: .administrator, network: "192.0.2.", context: #"{"function": "security:getSecurityEvents"}"#),
        DemoEvent(
            type: SecurityEventType.accessRefused, severity: .low, details: "A call that needs a sign-in came without one.",
            count: 18, network: "198.51.100.", context: #"{"function": "messages:listConversations"}"#),
        DemoEvent(
            type: SecurityEventType.loginFail, severity: .medium, details: "A wrong password, or a wrong address.", count: 14,
            network: "198.51.100."),
        DemoEvent(
            type: SecurityEventType.loginFail, severity: .low, details: "Invalid user oracle from 203.0.113.9 port 51622",
            count: 21, network: "203.0.113.", context: #"{"program": "sshd", "host": "gateway"}"#),
        DemoEvent(
            type: SecurityEventType.rateLimited, severity: .medium, details: "Calls were refused: too many in a short time.",
            count: 5, network: "198.51.100.", context: #"{"function": "users:search"}"#),
        DemoEvent(
            type: SecurityEventType.sensitiveRead, severity: .medium,
            details: "One user was shown another 1000 messages within five minutes.", minutesAgo: [402], subject: .anybody,
            network: "192.0.2.", context: #"{"count": 1000}"#),
        DemoEvent(
            type: SecurityEventType.tokenReuse, severity: .high, details: "A refresh token was used a second time.",
            minutesAgo: [1_130], subject: .anybody, network: "203.0.113."),
        DemoEvent(
            type: SecurityEventType.loginFailMax, severity: .high, details: "Sign-ins to one account are refused for a while.",
            minutesAgo: [34, 611], network: "203.0.113."),
        DemoEvent(
            type: "malicious_ssh_guessing", severity: .high, details: "23 failed SSH log-ins from 203.0.113.77 within 10 minutes",
            minutesAgo: [847], network: "203.0.113.", context: #"{"count": 23}"#),
        DemoEvent(
            type: "malicious_password_guessing", severity: .critical,
            details: "12 failed sign-ins to one account within 5 minutes", minutesAgo: [612], network: "203.0.113.",
            context: #"{"count": 12}"#),
        DemoEvent(
            type: SecurityEventType.shutdown, severity: .low, details: "A worker stopped.", minutesAgo: [731],
            context: #"{"worker": "api-3210"}"#),
        DemoEvent(
            type: SecurityEventType.startup, severity: .low, details: "A worker started.", minutesAgo: [730],
            context: #"{"worker": "api-3210"}"#),
    ]
}
