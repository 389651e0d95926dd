import Accounts
import ArgumentParser
import Development
import Domain
import Foundation
import Logging
import Postgres
import Settings

/// How commands reach the installation that they work on.
enum Database {
    /// Runs `body` with a client that is closed afterwards.
    static func withClient<Value>(
        _ connectionString: String, statementTimeout: Duration = .seconds(30), _ body: (PostgresClient) async throws -> Value
    ) async throws -> Value {
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(connectionString: connectionString, applicationName: "attune"))
        configuration.readers = 1
        configuration.writers = 1
        configuration.statementTimeout = statementTimeout
        let client = PostgresClient(configuration, logger: Logger(label: "attune"))
        let outcome: Result<Value, any Error>
        do { outcome = .success(try await body(client)) } catch { outcome = .failure(error) }
        await client.close()
        return try outcome.get()
    }

    /// Where the database is: as given, or else the private cluster, which `attune dev` must be running.
    static func connectionString(_ settings: OperatorSettings) throws -> String {
        if let given = settings.databaseURL { return given.revealed }
        return try PrivateCluster.connectionString(dataDirectory: settings.dataDirectory)
    }

    static func accounts(on client: PostgresClient, settings: OperatorSettings, siteURL: String) throws -> Accounts {
        Accounts(
            database: client, keys: try SigningKeys(dataFolder: settings.dataDirectory), configuration: .init(issuer: siteURL),
            events: nil, logger: Logger(label: "accounts"))
    }
}

extension PlaceOptions {
    func settings() throws -> OperatorSettings {
        // What commands have to say they say themselves.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        return try OperatorSettings(overrides: overrides)
    }

    /// Runs `body` with the installation's accounts.
    func withAccounts(_ body: (Accounts) async throws -> Void) async throws {
        let settings = try settings()
        let siteURL = try settings.siteURL ?? SiteFile(dataDirectory: settings.dataDirectory).read() ?? settings.localURL
        try await withDatabase(settings) { client in
            try await body(Database.accounts(on: client, settings: settings, siteURL: siteURL))
        }
    }

    /// Runs `body` with the installation's database. What goes wrong is said in words for the operator.
    func withDatabase(
        _ settings: OperatorSettings, statementTimeout: Duration = .seconds(30), _ body: (PostgresClient) async throws -> Void
    ) async throws {
        do {
            try await Database.withClient(Database.connectionString(settings), statementTimeout: statementTimeout, body)
        } catch let error as PostgresError where error.kind == .cannotConnect {
            // The operator's own terminal may show the server's words.
            throw DevelopmentError("\(error.debugDescription)\nIs it running? 'attune doctor' tells more.")
        } catch let error as APIError {
            throw DevelopmentError(error.message)
        }
    }
}

/// The site URL that `attune dev` last used, which is the issuer that its workers accept tokens of.
struct SiteFile {
    private let path: String

    init(dataDirectory: String) {
        path = dataDirectory + "/site-url"
    }

    func read() throws -> String? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return String(try String(contentsOfFile: path, encoding: .utf8).trimmingBlanks())
    }

    func write(_ siteURL: String) throws {
        try (siteURL + "\n").write(toFile: path, atomically: true, encoding: .utf8)
    }
}
