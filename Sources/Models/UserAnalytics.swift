import Domain
import Postgres
import Registry
import Store
import Wire

/// What people did within a timeframe. What each number means is in `MetricDefinition`.
public struct UserAnalytics: ConvexObject {
    public let timeframe: Timeframe
    /// Nil before the first computation: then every number is 0, and the lists are empty.
    public let since: Instant?
    public let activeUsers: Int
    public let newUsers: Int
    public let returningUsers: Int
    public let sessions: Int
    public let medianSessionSeconds: Int?
    public let messages: Int
    public let stickiness: Double
    public let series: [ActivityBucket]
    public let retention: [RetentionCohort]
    public let updatedAt: Instant

    public static let shape = ObjectShape<UserAnalytics>(
        .required("timeframe") { $0.timeframe },
        .optional("since") { $0.since },
        .required("activeUsers") { Double($0.activeUsers) },
        .required("newUsers") { Double($0.newUsers) },
        .required("returningUsers") { Double($0.returningUsers) },
        .required("sessions") { Double($0.sessions) },
        .optional("medianSessionLength") { $0.medianSessionSeconds.map { Double($0) * 1000 } },
        .required("messages") { Double($0.messages) },
        .required("stickiness") { $0.stickiness },
        .required("series") { $0.series },
        .required("retention") { $0.retention },
        .required("updatedAt") { $0.updatedAt })

    /// What is selected from `user_analytics`, in this order.
    public static let columns = """
        timeframe, since, active_users, new_users, returning_users, sessions, median_session_seconds, messages, stickiness,
        buckets::text, cohorts::text, updated_at
        """

    /// Reads `columns`.
    public init(_ row: Row) throws {
        timeframe = try row.decode(0)
        since = try row.decode(1)
        activeUsers = try row.decode(2)
        newUsers = try row.decode(3)
        returningUsers = try row.decode(4)
        sessions = try row.decode(5)
        medianSessionSeconds = try row.decode(6)
        messages = try row.decode(7)
        stickiness = try row.decode(8)
        series = try JSON(parsing: try row.decode(9, as: String.self).utf8).elements.map(ActivityBucket.init)
        retention = try JSON(parsing: try row.decode(10, as: String.self).utf8).elements.map(RetentionCohort.init)
        updatedAt = try row.decode(11)
    }
}

/// What people did in one hour or on one day.
public struct ActivityBucket: ConvexObject {
    public let start: Instant
    public let activeUsers: Double
    public let newUsers: Double
    public let sessions: Double
    public let messages: Double
    public let calls: Double
    /// Response times are in milliseconds.
    public let avgResponseTime: Double
    public let responseTimeP95: Double

    public static let shape = ObjectShape<ActivityBucket>(
        .required("start") { $0.start },
        .required("activeUsers") { $0.activeUsers },
        .required("newUsers") { $0.newUsers },
        .required("sessions") { $0.sessions },
        .required("messages") { $0.messages },
        .required("calls") { $0.calls },
        .required("avgResponseTime") { $0.avgResponseTime },
        .required("responseTimeP95") { $0.responseTimeP95 })

    /// Reads an element of `user_analytics.buckets`.
    init(_ json: JSON) throws(UnreadableAnalytics) {
        start = try json.moment("start")
        activeUsers = try json.number("activeUsers")
        newUsers = try json.number("newUsers")
        sessions = try json.number("sessions")
        messages = try json.number("messages")
        calls = try json.number("calls")
        avgResponseTime = try json.number("avgResponseTime")
        responseTimeP95 = try json.number("responseTimeP95")
    }
}

/// The accounts that were made in one week, and how many of them came again.
public struct RetentionCohort: ConvexObject {
    public let week: Instant
    public let users: Double
    /// That week first.
    public let active: [Double]

    public static let shape = ObjectShape<RetentionCohort>(
        .required("week") { $0.week },
        .required("users") { $0.users },
        .required("active") { $0.active })

    /// Reads an element of `user_analytics.cohorts`.
    init(_ json: JSON) throws(UnreadableAnalytics) {
        week = try json.moment("week")
        users = try json.number("users")
        active = try (json["active"] ?? .null).elements.map { (element) throws(UnreadableAnalytics) in try element.number }
    }
}

/// A row of `user_analytics` that `attune-metrics` has not written.
struct UnreadableAnalytics: Error {}

extension JSON {
    fileprivate var elements: [JSON] {
        get throws(UnreadableAnalytics) {
            guard case .array(let elements) = self else { throw UnreadableAnalytics() }
            return elements
        }
    }

    fileprivate var number: Double {
        get throws(UnreadableAnalytics) {
            guard case .number(let number) = self else { throw UnreadableAnalytics() }
            return number
        }
    }

    fileprivate func number(_ name: String) throws(UnreadableAnalytics) -> Double { try (self[name] ?? .null).number }

    /// Milliseconds since 1970.
    fileprivate func moment(_ name: String) throws(UnreadableAnalytics) -> Instant {
        let milliseconds = try number(name)
        guard let microseconds = Int64(exactly: (milliseconds * 1000).rounded()) else { throw UnreadableAnalytics() }
        return Instant(microseconds: microseconds)
    }
}
