import Foundation
import Logging
import Postgres
import Testing

@testable import Development

@Suite("The private cluster", .serialized)
struct PrivateClusterTests {
    /// The path of a data folder that is not there yet; what becomes of it is removed afterwards.
    private func withDataFolder(_ name: String = "data", _ body: (String) async throws -> Void) async throws {
        let root = "/tmp/attune-test-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        try await body(root + "/" + name)
    }

    /// Starts a cluster, and stops it however `body` ends.
    private func withCluster(_ path: String, _ body: (PrivateCluster) async throws -> Void) async throws {
        let cluster = try await PrivateCluster(in: try DataDirectory(path))
        try await cluster.start()
        do {
            try await body(cluster)
        } catch {
            await cluster.stop(.immediate)
            throw error
        }
        await cluster.stop()
    }

    /// The first column of the first row, a text.
    private func query(_ connectionString: String, _ sql: String, patience: Duration = .seconds(10)) async throws -> String {
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(connectionString: connectionString, applicationName: "test"))
        configuration.waitingTimeout = patience
        let client = PostgresClient(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let outcome: Result<String, any Error>
        do {
            outcome = .success(try await client.write(Statement("test", sql)())[0].decode(0))
        } catch {
            outcome = .failure(error)
        }
        await client.close()
        return try outcome.get()
    }

    @Test("starts with the database, stops, and goes on with the same data", .timeLimit(.minutes(2)))
    func lifecycle() async throws {
        try await withDataFolder { path in
            try await withCluster(path) { cluster in
                let text = try await query(
                    cluster.connectionString,
                    """
                    SELECT concat_ws(' ', current_user, current_database(), current_setting('wal_level'),
                        current_setting('data_checksums'), pg_encoding_to_char(encoding), datcollate,
                        (SELECT rolreplication FROM pg_roles WHERE rolname = current_user))
                    FROM pg_database WHERE datname = current_database()
                    """)
                #expect(text == "attune attune logical on UTF8 C.UTF-8 t")
                let made = try await query(
                    cluster.connectionString, "SELECT set_config('x.y', 'z', false) FROM lo_from_bytea(4711, 'still here')")
                #expect(made == "z")
            }
            #expect(try ClusterFiles(dataDirectory: path).runningServer() == nil)
            try await withCluster(path) { cluster in
                let text = try await query(cluster.connectionString, "SELECT encode(lo_get(4711), 'escape')")
                #expect(text == "still here")
            }
        }
    }

    @Test("lets nobody in without the password, over the socket or over TCP", .timeLimit(.minutes(2)))
    func passwords() async throws {
        try await withDataFolder { path in
            try await withCluster(path) { cluster in
                let own = try await cluster.connectionString
                let port = try #require(own.firstMatch(of: /port=(\d+)/)).1
                #expect(try await query("\(own) host=127.0.0.1", "SELECT current_user::text") == "attune")
                let hosts = ["127.0.0.1", try ClusterFiles(dataDirectory: path).socketDirectory]
                await withTaskGroup { group in
                    for (user, host) in ["attune", "postgres"].flatMap({ user in hosts.map { (user, $0) } }) {
                        group.addTask {
                            let intruder = "host=\(host) port=\(port) user=\(user) dbname=postgres password=wrong"
                            let error = await #expect(throws: PostgresError.self) {
                                try await query(intruder, "SELECT ''", patience: .seconds(2))
                            }
                            #expect(error?.kind == .cannotConnect)
                        }
                    }
                }
                let attributes = try FileManager.default.attributesOfItem(atPath: path + "/database-passwords")
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }
        }
    }

    @Test("a second stack on the same data folder is told whose it is")
    func folderInUse() async throws {
        try await withDataFolder { path in
            let first = try DataDirectory(path)
            let error = #expect(throws: DevelopmentError.self) { try DataDirectory(first.path) }
            #expect(error?.description.contains("in use by process \(getpid())") == true)
        }
    }

    @Test("starts after its server was killed, and keeps running when it is killed again", .timeLimit(.minutes(2)))
    func crash() async throws {
        try await withDataFolder { path in
            try await withCluster(path) { cluster in
                let files = try ClusterFiles(dataDirectory: path)
                let first = try #require(files.runningServer())
                let keeping = Task { try await cluster.keepRunning() }
                kill(first, SIGKILL)
                while (try? await query(cluster.connectionString, "SELECT 'up'")) == nil {}
                let second = try #require(files.runningServer())
                #expect(second != first)
                keeping.cancel()
                try await keeping.value

                // As if the whole stack had been killed: the file of a server that is no more, its number now another's.
                await cluster.stop(.immediate)
                try "\(getpid())\n".write(toFile: files.data + "/postmaster.pid", atomically: false, encoding: .utf8)
                try await cluster.start()
                #expect(try await query(cluster.connectionString, "SELECT 'up'") == "up")
            }
        }
    }

    @Test("two of them run side by side, also in a folder with a long and unusual name", .timeLimit(.minutes(2)))
    func twoClusters() async throws {
        let name = "it's a \\ folder, " + String(repeating: "very ", count: 20) + "long"
        try await withDataFolder(name) { path in
            try await withDataFolder { otherPath in
                try await withCluster(path) { cluster in
                    try await withCluster(otherPath) { other in
                        for cluster in [cluster, other] {
                            let text = try await query(cluster.connectionString, "SELECT 'up'")
                            #expect(text == "up")
                        }
                    }
                }
            }
        }
    }

    @Test(
        "for root, a folder that PostgreSQL's user cannot enter has a link to one that it can", .enabled(if: geteuid() == 0),
        .timeLimit(.minutes(2)))
    func unreachableFolder() async throws {
        try await withDataFolder { path in
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try await withCluster(path) { cluster in
                let text = try await query(cluster.connectionString, "SELECT 'up'")
                #expect(text == "up")
            }
            let place = try FileManager.default.destinationOfSymbolicLink(atPath: path + "/postgresql")
            #expect(place.hasPrefix("/var/lib/attune/"))
            try FileManager.default.removeItem(atPath: place)
        }
    }
}
