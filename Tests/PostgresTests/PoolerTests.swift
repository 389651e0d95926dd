import Development
import Foundation
import Postgres
import TestSupport
import Testing

@Suite(
    "Behind PgBouncer in transaction mode",
    .enabled(if: PgBouncer.isInstalled || ProcessInfo.processInfo.environment["CI"] != nil, "apt-get install pgbouncer"))
struct PoolerTests {
    @Test("statements, transactions and COPY work, although sessions change under them", .scratchDatabase(.empty))
    func everything() async throws {
        let direct = ScratchDatabase.current.makeClient()
        _ = try await direct.write(Statement("test.create", "CREATE TABLE t (n bigint PRIMARY KEY)")())
        try await PgBouncer.run(in: direct) { url in
            let settings = ConnectionSettings(connectionString: url, applicationName: "test")
            // Two programs, so that each finds sessions that the other has used.
            let clients = (0..<2).map { _ in PostgresClient(.init(connection: settings), logger: .quiet) }
            let insert = Statement("test.insert", "INSERT INTO t (n) VALUES ($1) RETURNING n")
            let read = Statement("test.read", "SELECT n FROM t WHERE n = $1")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<400 {
                    group.addTask {
                        let client = clients[number % 2]
                        switch number % 4 {
                        case 0, 1:
                            #expect(try await client.write(insert(number)).first?.decode(0) == number)
                        case 2:
                            try await client.withTransaction { transaction in
                                _ = try await transaction.execute(insert(number))
                                #expect(try await transaction.execute(read(number)).count == 1)
                            }
                        default:
                            let rows = try await client.withConnection { connection in
                                try await connection.copyIn("COPY t FROM STDIN", name: "test.copy") {
                                    try await $0.write(Array("\(number)\n".utf8))
                                }
                            }
                            #expect(rows == 1)
                        }
                        #expect(try await client.read(read(number)).count == 1)
                    }
                }
                try await group.waitForAll()
            }
            for client in clients { await client.close() }
        }
        #expect(try await direct.read(Statement("test.count", "SELECT count(*) FROM t")()).first?.decode(0) == 400)
    }
}

/// A PgBouncer of the test's own, on a socket in a folder of its own.
private enum PgBouncer {
    static let path = "/usr/sbin/pgbouncer"
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

    /// Runs `body` with a connection string for the database of `client`, through a pooler with few sessions.
    static func run(in client: PostgresClient, _ body: (String) async throws -> Void) async throws {
        let row = try await #require(
            client.read(
                Statement(
                    "test.server",
                    """
                    SELECT current_database()::text, current_setting('port'),
                        split_part(current_setting('unix_socket_directories'), ',', 1)
                    """)()
            ).first)
        let database: String = try row.decode(0)
        let port: String = try row.decode(1)
        let socket: String = try row.decode(2)
        let folder = FileManager.default.temporaryDirectory.appending(path: "attune-\(UUID().uuidString.prefix(8))").path()
        // It refuses to run as root.
        let user = geteuid() == 0 ? "postgres" : nil
        let role = "pooled_\(UUID().uuidString.prefix(8).lowercased())"
        try await client.withConnection {
            _ = try await $0.runScript("CREATE ROLE \(role) LOGIN SUPERUSER PASSWORD 'pooled'", name: "test.role")
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try """
            [databases]
            pooled = host=\(socket) port=\(port) dbname=\(database) user=\(role) password=pooled
            [pgbouncer]
            unix_socket_dir = \(folder)
            listen_port = 6432
            auth_type = any
            pool_mode = transaction
            default_pool_size = 3
            """.write(toFile: folder + "/pgbouncer.ini", atomically: true, encoding: .utf8)
        if let user {
            try FileManager.default.setAttributes([.ownerAccountName: user], ofItemAtPath: folder)
            try FileManager.default.setAttributes([.ownerAccountName: user], ofItemAtPath: folder + "/pgbouncer.ini")
        }
        let pooler = try await ChildProcess.start(
            Command(path, [folder + "/pgbouncer.ini"], user: user, output: .file(folder + "/pgbouncer.log")))
        let outcome: Result<Void, any Error>
        do {
            try await eventually("PgBouncer listens") { FileManager.default.fileExists(atPath: folder + "/.s.PGSQL.6432") }
            outcome = .success(try await body("host=\(folder) port=6432 dbname=pooled user=pooled"))
        } catch {
            outcome = .failure(error)
        }
        pooler.stop(SIGTERM, grace: .seconds(5))
        _ = await pooler.wait()
        try await client.withConnection { _ = try await $0.runScript("DROP ROLE \(role)", name: "test.role") }
        try outcome.get()
    }
}
