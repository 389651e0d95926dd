// TestSupport is what tests of several modules share. Test targets alone import it.
import Foundation
import Logging
import Postgres
import Schema
import Synchronization
import Testing

/// A database of one test's own, on the cluster of `ATTUNE_TEST_DATABASE_URL`.
///
/// A test that carries the trait `.scratchDatabase` finds its database in `ScratchDatabase.current`; it is made before the
/// test and dropped after it, whatever the test leaves open.
public final class ScratchDatabase: Sendable {
    /// What a scratch database holds at first.
    public enum Contents: Sendable {
        /// The schema, and no rows. Cloned from a template that is migrated once.
        case migrated
        /// Nothing.
        case empty
    }

    /// A libpq connection string, as a superuser: for `DATABASE_URL` and `ConnectionSettings`.
    public let url: String
    private let clients = Mutex<[PostgresClient]>([])

    @TaskLocal private static var scoped: ScratchDatabase?

    /// The database of the test that runs.
    public static var current: ScratchDatabase {
        guard let scoped else { preconditionFailure("the test lacks the trait .scratchDatabase") }
        return scoped
    }

    fileprivate init(url: String) {
        self.url = url
    }

    /// A new client for the database, closed after the test.
    public func makeClient(_ configure: (inout PostgresClient.Configuration) -> Void = { _ in }) -> PostgresClient {
        let client = Self.makeClient(url: url, configure)
        clients.withLock { $0.append(client) }
        return client
    }

    /// Makes a database, lends it to `body` as `current`, and drops it.
    public static func withDatabase(_ contents: Contents, _ body: @Sendable () async throws -> Void) async throws {
        let cluster = try await TestCluster.shared
        await cluster.places.take()
        let outcome: Result<Void, any Error>
        do {
            let database = ScratchDatabase(url: try await cluster.createDatabase(contents))
            do { outcome = .success(try await $scoped.withValue(database, operation: body)) } catch { outcome = .failure(error) }
            for client in database.clients.withLock({ $0 }) { await client.close() }
            // In a task of its own: the database goes also when the test was cancelled.
            try await Task { try await cluster.dropDatabase(url: database.url) }.value
        } catch {
            await cluster.places.giveBack()
            throw error
        }
        await cluster.places.giveBack()
        try outcome.get()
    }

    fileprivate static func makeClient(
        url: String, _ configure: (inout PostgresClient.Configuration) -> Void = { _ in }
    ) -> PostgresClient {
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(connectionString: url, applicationName: "attune tests"))
        // Several tests run at once on one cluster.
        configuration.readers = 1
        configuration.writers = 2
        configuration.leases = 4
        configure(&configuration)
        return PostgresClient(configuration, logger: .quiet)
    }
}

extension Logger {
    /// Says nothing: what tests provoke would fill the terminal.
    public static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// Gives a test, or each test of a suite, a database of its own.
public struct ScratchDatabaseTrait: TestTrait, SuiteTrait, TestScoping {
    let contents: ScratchDatabase.Contents
    public var isRecursive: Bool { true }

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await ScratchDatabase.withDatabase(contents, function)
    }
}

extension Trait where Self == ScratchDatabaseTrait {
    /// A database with the schema and no rows.
    public static var scratchDatabase: Self { Self(contents: .migrated) }

    public static func scratchDatabase(_ contents: ScratchDatabase.Contents) -> Self { Self(contents: contents) }
}

/// The cluster on which scratch databases are made.
private struct TestCluster: Sendable {
    /// Of the cluster's maintenance database.
    let url: String
    let client: PostgresClient
    let template: String
    /// Tests all start at once, and a cluster has a hundred or two sessions to give.
    let places = Places(count: 8)

    static var shared: TestCluster { get async throws { try await opening.value } }

    private static let opening = Task { try await TestCluster.open() }

    /// The key of the advisory lock under which test processes make the template: "attunetp" in ASCII.
    private static let templateLock: Int64 = 0x6174_7475_6e65_7470

    private static func open() async throws -> TestCluster {
        guard let url = ProcessInfo.processInfo.environment["ATTUNE_TEST_DATABASE_URL"] else {
            throw TestClusterError("ATTUNE_TEST_DATABASE_URL is not set; run the tests with script/test")
        }
        let client = ScratchDatabase.makeClient(url: url) { $0.waitingTimeout = .seconds(60) }
        guard try await client.read(isLocal()).first?.decode(0) == true else {
            throw TestClusterError("ATTUNE_TEST_DATABASE_URL is not a server on this machine; tests create and drop databases")
        }
        // A schema has one template for all processes that test it.
        let fingerprint = Migration(number: 0, name: "", sql: Migration.all.map(\.checksum).joined()).checksum
        let cluster = TestCluster(url: url, client: client, template: "attune_template_\(fingerprint.prefix(16))")
        try await cluster.makeTemplate()
        return cluster
    }

    /// Makes the template unless it is there. It gets its name when it is complete.
    private func makeTemplate() async throws {
        try await client.withConnection { connection in
            try await connection.runScript("SELECT pg_advisory_lock(\(Self.templateLock))", name: "test.lock")
            do {
                if try await connection.execute(Self.databaseExists(template)).first?.decode(0) != true {
                    let unfinished = template + "_unfinished"
                    try await connection.runScript("DROP DATABASE IF EXISTS \(unfinished) WITH (FORCE)", name: "test.drop")
                    try await connection.runScript("CREATE DATABASE \(unfinished)", name: "test.create")
                    let inside = ScratchDatabase.makeClient(url: databaseURL(unfinished))
                    _ = try await Migrator(client: inside, logger: .quiet).up()
                    await inside.close()
                    // The server may need a moment to end the session that was closed.
                    try await connection.runScript(
                        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '\(unfinished)'",
                        name: "test.disconnect")
                    try await connection.runScript("ALTER DATABASE \(unfinished) RENAME TO \(template)", name: "test.rename")
                }
            } catch {
                try await connection.runScript("SELECT pg_advisory_unlock(\(Self.templateLock))", name: "test.unlock")
                throw error
            }
            try await connection.runScript("SELECT pg_advisory_unlock(\(Self.templateLock))", name: "test.unlock")
        }
    }

    /// - Returns: the new database's connection string.
    func createDatabase(_ contents: ScratchDatabase.Contents) async throws -> String {
        let name = "attune_test_" + UUID().uuidString.lowercased().replacing("-", with: "")
        let source = contents == .migrated ? template : "template0"
        try await client.withConnection {
            _ = try await $0.runScript("CREATE DATABASE \(name) TEMPLATE \(source)", name: "test.create")
        }
        return databaseURL(name)
    }

    func dropDatabase(url: String) async throws {
        let name = url.firstMatch(of: /attune_test_[0-9a-f]+/)!.output
        try await client.withConnection { connection in
            // FORCE does not end a replication stream, and a worker's may still be on its way out.
            try await connection.runScript(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '\(name)'", name: "test.disconnect")
            try await connection.runScript("DROP DATABASE \(name) WITH (FORCE)", name: "test.drop")
        }
    }

    /// The cluster's connection string with another database's name.
    private func databaseURL(_ name: String) -> String {
        guard let scheme = url.firstRange(of: "://") else {
            // Of two values for a keyword, libpq takes the last.
            return url + " dbname=" + name
        }
        let rest = url[scheme.upperBound...]
        let path = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let query = rest.firstIndex(of: "?") ?? rest.endIndex
        return url[..<path] + "/" + name + rest[query...]
    }

    private static let isLocal = Statement(
        "test.isLocal",
        "SELECT inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1'")
    private static let databaseExists = Statement(
        "test.databaseExists", "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
}

/// Lets so many in at once, and the others wait in line.
private actor Places {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(count: Int) { free = count }

    func take() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}

/// Why no test can have a database.
public struct TestClusterError: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
