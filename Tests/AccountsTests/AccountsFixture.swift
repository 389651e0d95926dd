import Accounts
import Domain
import Foundation
import Logging
import Postgres
import Reporting
import TestSupport

/// An installation for one test: a migrated database of its own, a data folder, and accounts on both.
final class AccountsFixture: Sendable {
    static let issuer = "https://attune.example"
    static let home = IPAddress("192.0.2.1")!
    static let elsewhere = IPAddress("198.51.100.7")!

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    let database: PostgresClient
    let dataFolder: String
    let keys: SigningKeys
    let accounts: Accounts
    let clock: MovableClock
    /// What `accounts` has reported.
    let reporter = RecordingReporter()

    private init(database: PostgresClient, dataFolder: String, newAccountsPerHour: Int) throws {
        self.database = database
        self.dataFolder = dataFolder
        keys = try SigningKeys(dataFolder: dataFolder)
        clock = MovableClock()
        var configuration = Accounts.Configuration(issuer: Self.issuer)
        configuration.newAccountsPerHour = newAccountsPerHour
        configuration.now = { [clock] in clock.now }
        accounts = Accounts(
            database: database, keys: keys, configuration: configuration,
            events: SecurityLog(source: "test", reporter: reporter, now: configuration.now), logger: Self.logger)
    }

    /// Lends an installation to `body`, and takes it away afterwards.
    static func use(newAccountsPerHour: Int = 200, _ body: @Sendable (AccountsFixture) async throws -> Void) async throws {
        try await ScratchDatabase.withDatabase(.migrated) {
            let database = ScratchDatabase.current.makeClient()
            let dataFolder = FileManager.default.temporaryDirectory.appending(path: "attune-test-\(UUID())").path
            try FileManager.default.createDirectory(atPath: dataFolder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: dataFolder) }
            try await body(AccountsFixture(database: database, dataFolder: dataFolder, newAccountsPerHour: newAccountsPerHour))
        }
    }

    /// Another worker of the same installation.
    func anotherWorker() throws -> Accounts {
        var configuration = Accounts.Configuration(issuer: Self.issuer)
        configuration.now = { [clock] in clock.now }
        return Accounts(
            database: database, keys: try SigningKeys(dataFolder: dataFolder), configuration: configuration,
            events: nil, logger: Self.logger)
    }

    @discardableResult
    func signUp(
        _ email: String = "ana@example.org", password: String = "correct horse", from address: IPAddress = home,
        replacing: Principal? = nil
    ) async throws -> TokenPair {
        let form = SignUpForm(
            email: try EmailAddress(email, path: ".email"), password: try Password(new: password, path: ".password"),
            name: try DisplayName("Ana", path: ".name"), accountType: .client)
        return try await accounts.signUp(form, from: CallOrigin(address: address), replacing: replacing)
    }

    @discardableResult
    func signIn(
        _ email: String = "ana@example.org", password: String = "correct horse", from address: IPAddress = home,
        replacing: Principal? = nil
    ) async throws -> TokenPair {
        try await accounts.signIn(
            EmailAddress(email, path: ".email"), Password(attempt: password, path: ".password"),
            from: CallOrigin(address: address), replacing: replacing)
    }

    /// Why signing up fails; nil when it does not.
    func signUpRefusal(
        _ email: String = "ana@example.org", password: String = "correct horse", from address: IPAddress = home
    ) async -> APIError? {
        do {
            try await signUp(email, password: password, from: address)
            return nil
        } catch {
            return error as? APIError
        }
    }

    /// Why signing in fails; nil when it does not.
    func signInRefusal(
        _ email: String = "ana@example.org", password: String = "correct horse", from address: IPAddress = home
    ) async -> APIError? {
        do {
            try await signIn(email, password: password, from: address)
            return nil
        } catch {
            return error as? APIError
        }
    }

    func principal(_ tokens: TokenPair) async throws -> Principal {
        try await accounts.sessions.caller(forToken: tokens.token).principal
    }

    /// Runs SQL as a person at psql would.
    func run(_ sql: String) async throws {
        _ = try await database.write(Statement("test", sql)())
    }

    func count(_ sql: String) async throws -> Int {
        // Not on the reading connections: a test may have blocked those.
        try await database.write(Statement("test", sql)()).first!.decode(0)
    }
}

/// As a client at home calls them.
extension Accounts {
    func refresh(_ refreshToken: String) async throws -> TokenPair? {
        try await refresh(refreshToken, from: CallOrigin(address: AccountsFixture.home))
    }

    func signOut(_ principal: Principal) async throws {
        try await signOut(principal, from: CallOrigin(address: AccountsFixture.home))
    }
}
