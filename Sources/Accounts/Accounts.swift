import Domain
import FoundationEssentials
import Logging
import Postgres
import Store

/// What a client needs to act for an account: an access token for an hour, and a refresh token for the next one.
public struct TokenPair: Equatable, Sendable {
    /// A JWT.
    public let token: String
    /// `<tokenId>|<sessionId>`.
    public let refreshToken: String
}

/// What somebody fills in to open an account.
public struct SignUpForm: Sendable {
    public var email: EmailAddress
    public var password: Password
    public var name: DisplayName
    public var accountType: AccountType?

    public init(email: EmailAddress, password: Password, name: DisplayName, accountType: AccountType?) {
        self.email = email
        self.password = password
        self.name = name
        self.accountType = accountType
    }
}

/// Accounts and their sessions: signing up, in and out, and who is behind a token.
public final class Accounts: Sendable {
    public struct Configuration: Sendable {
        /// The site URL, `iss` of all tokens: the same for all workers of an installation.
        public var issuer: String
        /// How many accounts one network may make in an hour.
        public var newAccountsPerHour = 200
        /// The wall clock.
        public var now: @Sendable () -> Instant = { .now() }

        public init(issuer: String) {
            self.issuer = issuer
        }
    }

    public let sessions: SessionDirectory
    public let keys: SigningKeys
    let database: PostgresClient
    let hasher: PasswordHasher
    let tokens: AccessTokens
    let limits: SignInLimits
    let now: @Sendable () -> Instant
    private let logger: Logger

    public init(
        database: PostgresClient, keys: SigningKeys, configuration: Configuration, hasher: PasswordHasher = PasswordHasher(),
        logger: Logger
    ) {
        self.database = database
        self.keys = keys
        self.hasher = hasher
        self.logger = logger
        now = configuration.now
        tokens = AccessTokens(issuer: configuration.issuer, keys: keys)
        limits = SignInLimits(
            database: database, pseudonymSecret: keys.pseudonymSecret, newAccountsPerHour: configuration.newAccountsPerHour)
        sessions = SessionDirectory(tokens: tokens, database: database, now: configuration.now)
    }

    /// For `/.well-known/openid-configuration`. JSON.
    public var discoveryDocument: [UInt8] {
        let issuer = tokens.issuer
        let site = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        let document = [
            "issuer": issuer,
            "jwks_uri": site + "/.well-known/jwks.json",
            "authorization_endpoint": site + "/oauth/authorize",
        ]
        // Strings always encode.
        return Array(try! JSONEncoder().encode(document))
    }

    // MARK: Signing up, in and out

    /// Opens an account and signs in to it; an account that exists already is signed in to when the password is its own.
    ///
    /// Throws `conflict` when the password is another one, which counts as a failed sign-in, and `rate_limited`.
    /// - Parameters:
    ///   - address: where the request came from.
    ///   - replaced: the caller's present session, which ends.
    public func signUp(_ form: SignUpForm, from address: IPAddress, replacing replaced: Principal?) async throws -> TokenPair {
        let taken = APIError.conflict("Account \(form.email.text) already exists")
        if try await UserStore.credentials(forEmail: form.email.text, in: database.reading) != nil {
            let userID = try await checkPassword(form.password, of: form.email, from: address, whenWrong: taken)
            return try await openSession(for: userID, replacing: replaced, whenRemoved: taken)
        }
        try await limits.takeNewAccount(from: address)
        let userID: UserID
        do {
            userID = try await create(
                email: form.email, name: form.name, role: .user, accountType: form.accountType, password: form.password)
        } catch {
            await limits.giveBackNewAccount(from: address)
            guard case UserStore.InsertionFailure.emailIsTaken = error else { throw error }
            // Somebody was faster: the same person pressing the button twice, or not.
            userID = try await checkPassword(form.password, of: form.email, from: address, whenWrong: taken)
        }
        logger.info("account created", metadata: ["user": "\(userID)"])
        return try await openSession(for: userID, replacing: replaced, whenRemoved: taken)
    }

    /// Signs in with a password.
    ///
    /// Throws `unauthorized`, in the same words and after the same time, when there is no such account and when the
    /// password is wrong, and `rate_limited` after too many failures. Parameters as for `signUp`.
    public func signIn(
        _ email: EmailAddress, _ password: Password, from address: IPAddress, replacing replaced: Principal?
    ) async throws -> TokenPair {
        let wrong = APIError(.unauthorized, "InvalidSecret: the e-mail address or the password is wrong.")
        let userID = try await checkPassword(password, of: email, from: address, whenWrong: wrong)
        return try await openSession(for: userID, replacing: replaced, whenRemoved: wrong)
    }

    /// Exchanges a refresh token for new tokens, by the rules of convex-protocol.md 6.3. Never limited.
    ///
    /// - Returns: nil when the token is dead, which signs the client out. Trouble with the database is thrown instead.
    public func refresh(_ refreshToken: String) async throws -> TokenPair? {
        guard let token = RefreshToken(refreshToken) else { return nil }
        guard let grant = try await SessionStore.rotate(token, in: database) else {
            sessions.sessionsChanged([token.sessionID])
            return nil
        }
        return try issue(grant)
    }

    /// Ends the caller's session: here when this returns, on other workers with their next tick.
    public func signOut(_ principal: Principal) async throws {
        _ = try await database.write(SessionStore.ending(of: principal.sessionID))
        sessions.sessionsChanged([principal.sessionID])
    }

    // MARK: Parts

    private func checkPassword(
        _ password: Password, of email: EmailAddress, from address: IPAddress, whenWrong wrong: APIError
    ) async throws -> UserID {
        let attempt = try await limits.begin(on: email, from: address)
        let userID: UserID?
        do {
            let credentials = try await UserStore.credentials(forEmail: email.text, in: database.reading)
            let isRight = try await hasher.verify(password, against: credentials?.passwordHash)
            userID = isRight ? credentials?.userID : nil
        } catch {
            await limits.abandoned(attempt)
            throw error
        }
        guard let userID else {
            logger.info("sign-in failed", metadata: ["network": "\(address.network)"])
            throw wrong
        }
        try await limits.succeeded(attempt)
        return userID
    }

    /// Throws `UserStore.InsertionFailure.emailIsTaken`.
    func create(
        email: EmailAddress, name: DisplayName, role: Role, accountType: AccountType?, password: Password?
    ) async throws -> UserID {
        var passwordHash: String?
        if let password { passwordHash = try await hasher.hash(password) }
        do {
            return try await UserStore.insert(
                email: email.text, name: name, role: role, accountType: accountType, passwordHash: passwordHash, in: database)
        } catch UserStore.InsertionFailure.emailIsRefused {
            throw APIError(.validationError, "This is not an e-mail address.")
        }
    }

    private func openSession(
        for userID: UserID, replacing replaced: Principal?, whenRemoved removed: APIError
    ) async throws -> TokenPair {
        let grant = try await SessionStore.open(for: userID, replacing: replaced?.sessionID, in: database)
        if let replaced { sessions.sessionsChanged([replaced.sessionID]) }
        // The account was removed since the password was checked.
        guard let grant else { throw removed }
        return try issue(grant)
    }

    func issue(_ grant: Grant) throws -> TokenPair {
        TokenPair(
            token: try tokens.issue(for: grant.userID, session: grant.sessionID, at: now()),
            refreshToken: grant.refreshToken.description)
    }
}

extension RefreshToken: CustomStringConvertible {
    public var description: String { "\(id)|\(sessionID)" }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "|", omittingEmptySubsequences: false)
        guard parts.count == 2, let id = RefreshTokenID(parts[0]), let sessionID = SessionID(parts[1]) else { return nil }
        self.init(id: id, sessionID: sessionID)
    }
}
