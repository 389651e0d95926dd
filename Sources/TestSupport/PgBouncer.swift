import Development
import Foundation
import Postgres
import Testing

/// A PgBouncer of the test's own, on a socket in a folder of its own.
public enum PgBouncer {
    private static let path = "/usr/sbin/pgbouncer"
    public static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

    /// Runs `body` with a connection string for the database of `client`, through a pooler with few sessions.
    public static func run(in client: PostgresClient, _ body: (String) async throws -> Void) async throws {
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
