import Domain
import Rules
import Wire

/// A stored event, as far as rules look at it.
struct StoredEvent: Sendable {
    let id: SecurityEventID
    let occurredAt: Instant
    let type: String
    let severity: Severity
    let userID: UserID?
    let ip: IPAddress?
    /// The context, when that is a JSON object.
    let context: JSON?

    init(
        id: SecurityEventID, occurredAt: Instant, type: String, severity: Severity, userID: UserID? = nil, ip: IPAddress? = nil,
        context: String? = nil
    ) {
        self.id = id
        self.occurredAt = occurredAt
        self.type = type
        self.severity = severity
        self.userID = userID
        self.ip = ip
        self.context = context.flatMap { $0.utf8.first == UInt8(ascii: "{") ? try? JSON(parsing: $0.utf8) : nil }
    }

    func meets(_ condition: DetectionRule.Condition) -> Bool {
        condition.types.contains(type) && severity >= condition.minimumSeverity
            && condition.context.allSatisfy { field, values in context?[field]?.stringValue.map(values.contains) ?? false }
    }

    func value(of key: DetectionRule.Key) -> String? {
        switch key {
        case .account: account
        case .user: user
        case .ip: ip?.description
        case .network: ip?.network.description
        }
    }

    func value(of key: DetectionRule.DistinctKey) -> String? {
        switch key {
        case .account: account
        case .user: user
        case .ip: ip?.description
        case .network: ip?.network.description
        case .type: type
        }
    }

    private var account: String? { userID?.description ?? context?["account"]?.stringValue }
    private var user: String? { userID?.description ?? context?["user"]?.stringValue }
}

/// One event among those that a rule counts for one key.
struct Occurrence: Comparable, Sendable {
    let moment: Instant
    let id: SecurityEventID
    /// What is counted, if different values are.
    let value: String?

    static func < (left: Occurrence, right: Occurrence) -> Bool {
        left.moment != right.moment ? left.moment < right.moment : left.id < right.id
    }

    static func == (left: Occurrence, right: Occurrence) -> Bool { left.moment == right.moment && left.id == right.id }
}

/// A rule that was met, and by what.
struct Detection: Equatable, Sendable {
    let rule: DetectionRule
    /// What the events have in common.
    let key: String
    /// Of events, or of different values.
    let count: Int
    let first: Instant
    /// When the rule was met.
    let last: Instant
    /// The latest of the events, at most `maximumEvents`, the newest first.
    let events: [SecurityEventID]

    static let maximumEvents = 10
}
