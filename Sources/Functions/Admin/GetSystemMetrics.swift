import Domain
import Models
import Postgres
import Registry

/// admin:getSystemMetrics
enum GetSystemMetrics {
    static let function = FunctionDefinition.query(
        "admin:getSystemMetrics",
        "How the installation is doing at this moment: who is active, response times, load, storage, security level.",
        access: .admin,
        arguments: Arguments(),
        returns: SystemMetrics.self
    ) { context, _ in
        let rows = try await context.rows(current(), reading: .all(of: .systemMetrics))
        guard let row = rows.first else { throw APIError.notFound("The row of system_metrics has been deleted.") }
        return try SystemMetrics(row)
    }

    /// One row, which attune-metrics keeps up to date: as fast however much there is to count.
    private static let current = Statement("system_metrics.current", "SELECT \(SystemMetrics.columns) FROM system_metrics")
}
