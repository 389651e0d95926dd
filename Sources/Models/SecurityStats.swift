import Domain
import Registry

/// All stored security events, counted. Every number is what counting the table at this moment gives.
public struct SecurityStats: ConvexObject {
    public var total = 0
    public var bySeverity: [Severity: Int] = [:]
    /// The most frequent first, at most `maximumTypes`. Not an object, since a type may be any text.
    public var byType: [EventTypeCount] = []
    /// 24 hours, the oldest first; the last one is the hour that is running.
    public var lastDay: [EventHourCount] = []
    public var activeSecurityLevel = SecurityLevel.low

    public static let maximumTypes = 100

    public init() {}

    public static let shape = ObjectShape<SecurityStats>(
        .required("total") { Double($0.total) },
        .required("bySeverity") { EventSeverityCounts(events: $0.bySeverity) },
        .required("byType") { $0.byType },
        .required("lastDay") { $0.lastDay },
        .required("activeSecurityLevel") { $0.activeSecurityLevel })
}

/// How many events there are of each severity.
public struct EventSeverityCounts: ConvexObject {
    let events: [Severity: Int]

    public static let shape = ObjectShape<EventSeverityCounts>(
        .required("critical") { Double($0.events[.critical] ?? 0) },
        .required("high") { Double($0.events[.high] ?? 0) },
        .required("medium") { Double($0.events[.medium] ?? 0) },
        .required("low") { Double($0.events[.low] ?? 0) })
}

/// How many events there are of one type.
public struct EventTypeCount: ConvexObject {
    public let type: String
    public let count: Int

    public init(type: String, count: Int) {
        self.type = type
        self.count = count
    }

    public static let shape = ObjectShape<EventTypeCount>(
        .required("type") { $0.type },
        .required("count") { Double($0.count) })
}

/// How many events occurred in one hour.
public struct EventHourCount: ConvexObject {
    /// When the hour began.
    public let hour: Instant
    public let count: Int

    public init(hour: Instant, count: Int) {
        self.hour = hour
        self.count = count
    }

    public static let shape = ObjectShape<EventHourCount>(
        .required("hour") { $0.hour },
        .required("count") { Double($0.count) })
}
