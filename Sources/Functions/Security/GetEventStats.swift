import Domain
import Models
import Postgres
import Registry
import Store

/// security:getEventStats
enum GetEventStats {
    static let function = FunctionDefinition.query(
        "security:getEventStats",
        "How many security events there are: in all, by severity, by type, by hour for the last day; and the security level.",
        access: .admin,
        arguments: Arguments(),
        returns: SecurityStats.self
    ) { context, _ in
        let rows = try await context.rows(
            SecurityStatistics.query(maximumTypes: SecurityStats.maximumTypes), reading: .all(of: .securityEvents))
        var stats = SecurityStats()
        for row in rows {
            switch try row.decode(0, as: String.self) {
            case "level":
                stats.activeSecurityLevel = try row.decode(1)
            case "severity":
                let count: Int = try row.decode(3)
                stats.bySeverity[try row.decode(1)] = count
                stats.total += count
            case "type":
                stats.byType.append(EventTypeCount(type: try row.decode(1), count: try row.decode(3)))
            default:
                stats.lastDay.append(EventHourCount(hour: try row.decode(2), count: try row.decode(3)))
            }
        }
        return stats
    }
}
