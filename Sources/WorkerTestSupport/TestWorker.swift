// WorkerTestSupport is for tests that speak to a running worker. Test targets alone import it.
import API
import Accounts
import Domain
import Foundation
import Functions
import Live
import Logging
import NIOHTTP1
import Postgres
import Registry
import ServiceLifecycle
import Synchronization
import Telemetry
import Testing
import TestSupport
import Wire

/// A real API worker in this process, on a free port and a scratch database.
public final class TestWorker: Sendable {
    public let host = "127.0.0.1"
    public let port: Int
    /// `http://127.0.0.1:<port>`.
    public var url: String { "http://\(host):\(port)" }
    /// libpq's words for the worker's database.
    public let databaseURL: String
    /// Has the folder of keys; give it to another worker of the same installation.
    public let dataFolder: String
    /// A client of the test's own, as a superuser.
    public let database: PostgresClient
    /// The operator's side: keys and database are the worker's.
    public let accounts: Accounts
    private let clients = Mutex<[SyncClient]>([])

    init(port: Int, databaseURL: String, dataFolder: String, database: PostgresClient) throws {
        self.port = port
        self.databaseURL = databaseURL
        self.dataFolder = dataFolder
        self.database = database
        accounts = Accounts(
            database: database, keys: try SigningKeys(dataFolder: dataFolder), configuration: .init(issuer: testIssuer), events: nil,
            logger: .quiet)
    }

    // MARK: People

    /// Makes an account and signs it in, without the cost of a password.
    public func signUp(_ name: String, role: Role = .user, accountType: AccountType? = nil) async throws -> TestUser {
        let email = "\(UUID().uuidString.lowercased())@example.org"
        let id = try await accounts.createUser(
            email: try EmailAddress(email, path: ".email"), name: try DisplayName(name, path: ".name"), role: role,
            accountType: accountType, password: nil)
        return try await signIn(TestUser(id: id, name: name, email: email, token: "", refreshToken: ""))
    }

    /// The same person in another session.
    public func signIn(_ user: TestUser) async throws -> TestUser {
        let tokens = try await accounts.issueTokens(for: user.id)
        return TestUser(id: user.id, name: user.name, email: user.email, token: tokens.token, refreshToken: tokens.refreshToken)
    }

    /// A token of the user's that was good a week ago, for a session that still is.
    public func expiredToken(of user: TestUser) async throws -> String {
        var configuration = Accounts.Configuration(issuer: testIssuer)
        configuration.now = { Instant.now() - .seconds(7 * 24 * 3600) }
        let accounts = Accounts(
            database: database, keys: try SigningKeys(dataFolder: dataFolder), configuration: configuration, events: nil, logger: .quiet)
        return try await accounts.issueTokens(for: user.id).token
    }

    /// The two users' conversation; made, without a message, if they have not talked yet.
    public func conversation(_ one: TestUser, _ other: TestUser) async throws -> ConversationID {
        let (low, high) = one.id < other.id ? (one.id, other.id) : (other.id, one.id)
        let rows = try await sql(
            """
            WITH made AS (
                INSERT INTO conversations (low_user_id, high_user_id) VALUES ('\(low.uuid)', '\(high.uuid)')
                ON CONFLICT DO NOTHING RETURNING id
            )
            SELECT id::text FROM made
            UNION ALL
            SELECT id::text FROM conversations WHERE low_user_id = '\(low.uuid)' AND high_user_id = '\(high.uuid)'
            """)
        return ConversationID(UUIDBits(try rows[0].decode(0, as: String.self))!)
    }

    // MARK: SQL

    /// Runs SQL as a person at psql would: one statement, a transaction of its own.
    @discardableResult
    public func sql(_ text: String) async throws -> QueryResult {
        try await database.withConnection { try await $0.runScript(text, name: "test").last! }
    }

    /// A message by plain SQL.
    public func insertMessage(_ content: String, from sender: TestUser, to recipient: TestUser) async throws {
        let conversation = try await conversation(sender, recipient)
        try await sql(
            """
            INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
            VALUES ('\(conversation.uuid)', '\(sender.id.uuid)', '\(recipient.id.uuid)', '\(content)')
            """)
    }

    // MARK: HTTP

    /// Calls a function over HTTP, as stock clients do.
    public func call(
        _ kind: FunctionKind, _ path: String, _ arguments: JSON = [:], token: String? = nil, format: String = "convex_encoded_json"
    ) async throws -> HTTPAnswer {
        try await post(
            "/api/\(kind.rawValue.lowercased())", ["path": .string(path), "args": arguments, "format": .string(format)], token: token)
    }

    /// Posts a JSON body.
    public func post(_ uri: String, _ body: JSON, token: String? = nil) async throws -> HTTPAnswer {
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        return try await request(.POST, uri, headers: headers, body: Array(body.text.utf8))
    }

    /// Any request.
    public func request(
        _ method: HTTPMethod, _ uri: String, headers: HTTPHeaders = [:], body: [UInt8] = []
    ) async throws -> HTTPAnswer {
        try await HTTPClient.request(method, uri, headers: headers, body: body, host: host, port: port)
    }

    // MARK: Sockets

    /// Opens a sync socket and says nothing yet. It is cut when the worker's test ends.
    public func openSocket(
        _ handshake: SyncClient.Handshake = .javaScript("1.45.0"), headers: HTTPHeaders = [:]
    ) async throws -> SyncClient {
        let client = try await SyncClient.open(host: host, port: port, handshake, headers: headers)
        clients.withLock { $0.append(client) }
        return client
    }

    /// Opens a sync socket, and says who is there: Connect and, with a user, Authenticate.
    public func connect(
        as user: TestUser? = nil, _ handshake: SyncClient.Handshake = .javaScript("1.45.0"), sessionID: String = UUID().uuidString.lowercased()
    ) async throws -> SyncClient {
        let client = try await openSocket(handshake)
        client.connect(sessionID: sessionID)
        if let user { client.authenticate(user.token) }
        return client
    }

    /// Cuts what is still open, and reports what the server did wrong on any socket.
    func checkSockets() {
        for client in clients.withLock({ $0 }) {
            for violation in client.state.violations { Issue.record("the server broke the sync protocol: \(violation)") }
            client.cut()
        }
    }
}

/// A person with an account on a test worker, signed in.
public struct TestUser: Sendable {
    public let id: UserID
    public let name: String
    public let email: String
    public let token: String
    public let refreshToken: String

    public var sessionID: SessionID { SessionID(refreshToken.split(separator: "|")[1])! }
}

let testIssuer = "http://attune.test"

/// Starts a worker, lends it to `body`, and takes everything away afterwards.
///
/// Queries that do not say all they depend on are reported as issues of the test, unless `configure` sets
/// `live.missedInvalidation` to nil: then queries run only when something touches them.
///
/// - Parameters:
///   - databaseURL: a migrated database; nil for a scratch database of the worker's own.
///   - dataFolder: of another worker of the same installation; nil for one of its own.
public func withTestWorker(
    functions: [FunctionDefinition] = allFunctions, databaseURL: String? = nil, dataFolder: String? = nil,
    configure: @Sendable (inout Worker.Configuration) -> Void = { _ in }, _ body: @Sendable (TestWorker) async throws -> Void
) async throws {
    guard let databaseURL else {
        return try await ScratchDatabase.withDatabase(.migrated) {
            try await withTestWorker(
                functions: functions, databaseURL: ScratchDatabase.current.url, dataFolder: dataFolder, configure: configure, body)
        }
    }
    guard let dataFolder else {
        let folder = FileManager.default.temporaryDirectory.appending(path: "attune-test-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await TestKeys.shared.write(into: folder)
        return try await withTestWorker(
            functions: functions, databaseURL: databaseURL, dataFolder: folder, configure: configure, body)
    }

    var configuration = Worker.Configuration(
        server: APIServer.Configuration(host: "127.0.0.1", port: 0), siteURL: testIssuer, dataFolder: dataFolder,
        connectionString: databaseURL)
    configuration.live.missedInvalidation = { path in
        Issue.record("\(path) has changed although nothing that it says it depends on was touched")
    }
    configure(&configuration)
    let (ports, portIsKnown) = AsyncStream.makeStream(of: Int.self)
    let worker = try Worker(configuration, functions: functions, metrics: PrometheusRegistry(), logger: .quiet) { port in
        portIsKnown.yield(port)
        portIsKnown.finish()
    }
    let group = ServiceGroup(configuration: .init(services: [.init(service: worker)], logger: .quiet))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { portIsKnown.finish() }
            try await group.run()
        }
        guard let port = await ports.first(where: { _ in true }) else {
            try await tasks.waitForAll()
            return
        }
        var settings = PostgresClient.Configuration(
            connection: ConnectionSettings(connectionString: databaseURL, applicationName: "attune tests"))
        settings.readers = 1
        settings.writers = 2
        let database = PostgresClient(settings, logger: .quiet)
        let outcome: Result<Void, any Error>
        do {
            let lent = try TestWorker(port: port, databaseURL: databaseURL, dataFolder: dataFolder, database: database)
            do { outcome = .success(try await body(lent)) } catch { outcome = .failure(error) }
            lent.checkSockets()
        } catch {
            outcome = .failure(error)
        }
        await group.triggerGracefulShutdown()
        await database.close()
        try await tasks.waitForAll()
        try outcome.get()
    }
}

/// One set of keys for all tests of a process: making an RSA key takes longer than most tests.
struct TestKeys: Sendable {
    private let files: [String: Data]

    static var shared: TestKeys { get async throws { try await making.value } }

    private static let making = Task {
        let folder = FileManager.default.temporaryDirectory.appending(path: "attune-test-keys-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        _ = try SigningKeys(dataFolder: folder.path)
        let keys = folder.appending(path: "keys").path
        return TestKeys(
            files: try Dictionary(
                uniqueKeysWithValues: FileManager.default.contentsOfDirectory(atPath: keys).map {
                    ($0, try Data(contentsOf: URL(filePath: keys + "/" + $0)))
                }))
    }

    func write(into dataFolder: String) throws {
        try FileManager.default.createDirectory(atPath: dataFolder + "/keys", withIntermediateDirectories: true)
        for (name, content) in files { try content.write(to: URL(filePath: dataFolder + "/keys/" + name)) }
    }
}
