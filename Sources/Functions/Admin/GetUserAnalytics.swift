import Domain
import Models
import Postgres
import Registry
import Store

/// admin:getUserAnalytics
enum GetUserAnalytics {
    static let function = FunctionDefinition.query(
        "admin:getUserAnalytics",
        "What people did in the last 24 hours, 7 or 30 days, hour by hour or day by day, and how many come again week after week.",
        access: .admin,
        arguments: Arguments(.required("timeframe", Timeframe.self)),
        returns: UserAnalytics.self
    ) { context, timeframe in
        let rows = try await context.rows(find(timeframe), reading: .all(of: .userAnalytics))
        guard let row = rows.first else { throw APIError.notFound("The row of user_analytics has been deleted.") }
        return try UserAnalytics(row)
    }

    /// One row, which attune-metrics keeps up to date: as fast however much there is to count.
    private static let find = Statement(
        "user_analytics.find", "SELECT \(UserAnalytics.columns) FROM user_analytics WHERE timeframe = $1")
}
