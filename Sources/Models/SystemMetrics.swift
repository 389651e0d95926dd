import Domain
import Postgres
import Registry
import Store

/// How the installation is doing at this moment. What each number means is in `MetricDefinition`.
public struct SystemMetrics: ConvexObject {
    public let activeUsers: Int
    public let activeSessions: Int
    public let sessionsToday: Int
    public let totalTherapists: Int
    public let totalClients: Int
    public let messagesSent: Int
    /// This and the other response times are in milliseconds.
    public let avgResponseTime: Double
    public let systemLoad: Double
    public let storage: ByteCount
    public let activeSecurityLevel: SecurityLevel
    public let responseTimeP50: Double
    public let responseTimeP95: Double
    public let responseTimeP99: Double
    public let updatedAt: Instant

    public static let shape = ObjectShape<SystemMetrics>(
        .required("activeUsers") { Double($0.activeUsers) },
        .required("activeSessions") { Double($0.activeSessions) },
        .required("sessionsToday") { Double($0.sessionsToday) },
        .required("totalTherapists") { Double($0.totalTherapists) },
        .required("totalClients") { Double($0.totalClients) },
        .required("messagesSent") { Double($0.messagesSent) },
        .required("avgResponseTime") { $0.avgResponseTime },
        .required("systemLoad") { $0.systemLoad },
        .required("storageUsed") { $0.storage.description },
        .required("activeSecurityLevel") { $0.activeSecurityLevel },
        .required("responseTimeP50") { $0.responseTimeP50 },
        .required("responseTimeP95") { $0.responseTimeP95 },
        .required("responseTimeP99") { $0.responseTimeP99 },
        .required("storageBytes") { Double($0.storage.bytes) },
        .required("updatedAt") { $0.updatedAt })

    /// What is selected from `system_metrics`, in this order.
    public static let columns = """
        active_users, active_sessions, sessions_today, total_therapists, total_clients, messages_sent, avg_response_time,
        system_load, storage_bytes, active_security_level, response_time_p50, response_time_p95, response_time_p99, updated_at
        """

    /// Reads `columns`.
    public init(_ row: Row) throws {
        activeUsers = try row.decode(0)
        activeSessions = try row.decode(1)
        sessionsToday = try row.decode(2)
        totalTherapists = try row.decode(3)
        totalClients = try row.decode(4)
        messagesSent = try row.decode(5)
        avgResponseTime = try row.decode(6)
        systemLoad = try row.decode(7)
        storage = ByteCount(try row.decode(8))
        activeSecurityLevel = try row.decode(9)
        responseTimeP50 = try row.decode(10)
        responseTimeP95 = try row.decode(11)
        responseTimeP99 = try row.decode(12)
        updatedAt = try row.decode(13)
    }
}
