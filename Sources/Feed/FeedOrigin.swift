import Postgres

/// Where commits come from: a database in one run of one server.
struct FeedOrigin: Hashable, Sendable {
    /// Of the cluster, made by `initdb`; copies of the cluster share it.
    let systemIdentifier: UInt64
    let databaseID: UInt32
    /// Tells copies of a cluster apart, and a server from what it was before a restart or failover. As text, to be compared.
    let serverStart: String

    /// Asks the server at the connection's other end.
    init(of replication: ReplicationConnection) async throws {
        let system = try await replication.run("IDENTIFY_SYSTEM", name: "replication.system").first?[0]
        let database = try await replication.run(
            """
            SELECT oid, extract(epoch FROM pg_postmaster_start_time())
            FROM pg_database
            WHERE datname = current_database()
            """, name: "replication.database"
        ).first
        guard let systemIdentifier = system.flatMap({ UInt64($0) }), let databaseID = database?[0].flatMap({ UInt32($0) }),
            let serverStart = database?[1]
        else { throw UnknownOrigin() }
        self.init(systemIdentifier: systemIdentifier, databaseID: databaseID, serverStart: serverStart)
    }

    init(systemIdentifier: UInt64, databaseID: UInt32, serverStart: String) {
        self.systemIdentifier = systemIdentifier
        self.databaseID = databaseID
        self.serverStart = serverStart
    }

    struct UnknownOrigin: Error, CustomStringConvertible {
        var description: String { "the server does not say which it is" }
    }
}

extension FeedOrigin: CustomStringConvertible {
    var description: String { "\(systemIdentifier)/\(databaseID) since \(serverStart)" }
}
