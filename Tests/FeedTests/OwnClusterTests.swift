import Domain
import Foundation
import Logging
import Postgres
import Schema
import TestSupport
import Testing

@testable import Development
@testable import Feed

/// On clusters of their own: what they do would hold up the other tests.
@Suite("Feeds and what can become of a server", .serialized, .timeLimit(.minutes(5)))
struct OwnClusterTests {
    private struct Server {
        let cluster: PrivateCluster
        let url: String
        let database: PostgresClient

        func feed(isShared: Bool, _ folder: String) -> any ChangeFeed {
            let settings = ConnectionSettings(connectionString: url, applicationName: "attune tests feed")
            if isShared { return SharedSlotFeed(connection: settings, folder: folder, logger: .quiet) }
            return LogicalSlotFeed(connection: settings, logger: .quiet)
        }
    }

    private func withServer(_ body: (Server) async throws -> Void) async throws {
        try await withFolder { path in
            let cluster = try await PrivateCluster(in: try DataDirectory(path))
            try await cluster.start()
            // As the cluster's own superuser, who may change its settings.
            let url = try ClusterFiles(dataDirectory: path).connectionString(user: "postgres", database: "attune")
            let database = PostgresClient(
                .init(connection: ConnectionSettings(connectionString: url, applicationName: "attune tests")), logger: .quiet)
            let outcome: Result<Void, any Error>
            do {
                _ = try await Migrator(client: database, logger: .quiet).up()
                outcome = .success(try await body(Server(cluster: cluster, url: url, database: database)))
            } catch {
                outcome = .failure(error)
            }
            await database.close()
            await cluster.stop(.immediate)
            try outcome.get()
        }
    }

    @Test("no feed says that it is connected while a commit that it will not deliver is not visible", arguments: [true, false])
    func hiddenCommit(isShared: Bool) async throws {
        try await withServer { server in
            let database = server.database
            try await withFolder { folder in
                let first = RunningFeed(server.feed(isShared: isShared, folder))
                try await eventually("the first is connected") { first.listener.isConnected }
                try await database.script("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
                try await database.script("SELECT pg_reload_conf()")
                try await eventually("commits wait") {
                    try await database.count("SELECT count(*) FROM pg_settings WHERE setting = 'nobody'") == 1
                }
                // The youngest transaction that there is: nothing that was begun later is over.
                async let hidden = database.commitSomething()
                try await eventually("the commit waits, and the first has been told of it") {
                    let waiting = try await database.count("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
                    return waiting == 1 && !first.listener.commits.isEmpty
                }
                let second = RunningFeed(server.feed(isShared: isShared, folder))
                // A slot cannot be made before the transaction is over; a member asks again and again whether it is.
                try await eventually("the second waits") {
                    let questions = try await database.count(
                        """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE application_name = 'attune tests feed'
                          AND (query LIKE 'SELECT pg_snapshot_xmin%' OR query LIKE 'CREATE_REPLICATION_SLOT%' AND state = 'active')
                          AND query_start > (SELECT xact_start FROM pg_stat_activity WHERE wait_event = 'SyncRep')
                        """)
                    return questions > 0 || !second.listener.events.isEmpty
                }
                #expect(second.listener.events.isEmpty)
                try await database.script("ALTER SYSTEM RESET synchronous_standby_names")
                try await database.script("SELECT pg_reload_conf()")
                try await eventually("the second is connected") { second.listener.isConnected }
                let id = try await hidden
                #expect(first.listener.hasHeard(of: id))
                #expect(!second.listener.hasHeard(of: id))
                await second.stop()
                await first.stop()
            }
        }
    }

    @Test("a sender that is stopped is given up, and the feed begins anew")
    func stoppedSender() async throws {
        try await withServer { server in
            let feed = RunningFeed(server.feed(isShared: false, ""))
            try await eventually("the feed is connected") { feed.listener.isConnected }
            let sender = pid_t(try await server.database.count("SELECT active_pid FROM pg_replication_slots"))
            kill(sender, SIGSTOP)
            defer { kill(sender, SIGCONT) }
            try await eventually("the feed is connected again") { feed.listener.connections == 2 && feed.listener.isConnected }
            let written = try await server.database.commitSomething()
            try await eventually("the commit is delivered") { feed.listener.hasHeard(of: written) }
            await feed.stop()
        }
    }

    @Test("a restart of the server is a new beginning, and a server without logical decoding is polled", arguments: [true, false])
    func restart(isShared: Bool) async throws {
        try await withServer { server in
            try await withFolder { folder in
                let feeds = (0..<2).map { _ in RunningFeed(FallbackFeed(server.feed(isShared: isShared, folder))) }
                for feed in feeds { try await eventually("the feed is connected") { feed.listener.isConnected } }
                await server.cluster.stop(.immediate)
                try await server.cluster.start()
                for feed in feeds {
                    try await eventually("the feed is connected again") {
                        feed.listener.connections == 2 && feed.listener.isConnected
                    }
                }
                let written = try await server.database.commitSomething()
                for feed in feeds { try await eventually("the commit is delivered") { feed.listener.hasHeard(of: written) } }

                try await server.database.script("ALTER SYSTEM SET wal_level = 'replica'")
                await server.cluster.stop(.fast)
                try await server.cluster.start()
                for feed in feeds {
                    let polls = feed.listener.polls
                    try await eventually("the feed polls") { feed.listener.polls > polls + 2 && !feed.listener.isConnected }
                }
                for feed in feeds { await feed.stop() }
            }
        }
    }
}
