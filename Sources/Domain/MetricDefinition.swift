/// What one field of the numbers about an installation means.
///
/// These sentences are the one definition of each number: the result types refer to them, docs/metrics.md lists them, and the
/// administrator's page shows them beside the numbers.
public struct MetricDefinition: Sendable {
    /// The object in which the field is found.
    public enum Place: String, CaseIterable, Sendable {
        case systemMetrics = "SystemMetrics"
        case userAnalytics = "UserAnalytics"
        /// An element of `series`: one hour or one day.
        case series = "UserAnalytics.series"
        /// An element of `retention`: the accounts of one week.
        case retention = "UserAnalytics.retention"
    }

    public let place: Place
    /// The field's name in the API.
    public let field: String
    /// One sentence for people, without a point at its end.
    public let sentence: String

    /// Of one object, in the order of its fields.
    public static func all(of place: Place) -> [MetricDefinition] {
        sentences(of: place).map { MetricDefinition(place: place, field: $0.key, sentence: $0.value) }
    }

    private static func sentences(of place: Place) -> KeyValuePairs<String, String> {
        switch place {
        case .systemMetrics: systemMetrics
        case .userAnalytics: userAnalytics
        case .series: series
        case .retention: retention
        }
    }

    private static let systemMetrics: KeyValuePairs = [
        "activeUsers": "Users who were active within the last 30 minutes",
        "activeSessions": "Sessions with activity within the last 30 minutes",
        "sessionsToday": "Sessions that have begun since midnight, UTC",
        "totalTherapists": "Accounts of therapists, without removed ones",
        "totalClients": "Accounts of clients, without removed ones",
        "messagesSent": "All messages that are stored, from the first day on",
        "avgResponseTime":
            "Mean response time of the calls of this minute and the five before it, in milliseconds; 0 if there were none",
        "systemLoad": "Load average over one minute for each processor, of the busiest host that reported within the last minute",
        "storageUsed": "Size of the database, in decimal units: 1 GB is 1,000,000,000 bytes",
        "activeSecurityLevel":
            "How tense the situation is by the security events of the last hour: low, guarded, elevated, high or critical",
        "responseTimeP50":
            "Half of the calls of this minute and the five before it took no longer, in milliseconds; 0 if there were none",
        "responseTimeP95":
            "95 % of the calls of this minute and the five before it took no longer, in milliseconds; 0 if there were none",
        "responseTimeP99":
            "99 % of the calls of this minute and the five before it took no longer, in milliseconds; 0 if there were none",
        "storageBytes": "Size of the database, in bytes",
        "updatedAt": "When one of these values last changed",
    ]

    private static let userAnalytics: KeyValuePairs = [
        "timeframe": "The last 24 hours (day), 7 days (week) or 30 days (month), whole ones of UTC; the last one is running",
        "since": "When the first hour or day of the timeframe began; absent until attune-metrics has counted for the first time",
        "activeUsers": "Users who were active within the timeframe",
        "newUsers": "Accounts that were made within the timeframe",
        "returningUsers": "Users who were active within the timeframe and whose account is older than it",
        "sessions": "Sessions that began within the timeframe",
        "medianSessionLength":
            "Median length of these sessions, from first to last activity, in milliseconds; absent if there were none",
        "messages": "Messages that were sent within the timeframe",
        "stickiness": "Active users of the last 24 hours divided by those of the last 30 days, from 0 to 1; 0 if there were none",
        "series": "The timeframe hour by hour (day) or day by day (week, month), the oldest first; the last one is running",
        "retention": "The accounts of each of the last 12 weeks, and how many of them were active since, the oldest first",
        "updatedAt": "When one of these values last changed",
    ]

    private static let series: KeyValuePairs = [
        "start": "When the hour or day began, UTC",
        "activeUsers": "Users who were active in the hour or day",
        "newUsers": "Accounts that were made in the hour or day",
        "sessions": "Sessions that began in the hour or day",
        "messages": "Messages that were sent in the hour or day",
        "calls": "Calls that were answered in the hour or day, whatever came of them",
        "avgResponseTime": "Mean response time of those calls, in milliseconds; 0 if there were none",
        "responseTimeP95": "95 % of those calls took no longer, in milliseconds; 0 if there were none",
    ]

    private static let retention: KeyValuePairs = [
        "week": "When the week began: a Monday, 00:00 UTC",
        "users": "Accounts that were made in the week",
        "active": "How many of them were active in that week, in the one after it, and so on until this week",
    ]
}
