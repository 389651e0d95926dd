import Domain
import FoundationEssentials
import Logging
import Postgres
import Reporting
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
    let events: SecurityLog?
    private let logger: Logger

    /// - Parameter events: gets what people do; nil where only the operator acts, whose deeds are recorded with their effects.
    public init(
        database: PostgresClient, keys: SigningKeys, configuration: Configuration, hasher: PasswordHasher = PasswordHasher(),
        events: SecurityLog?, logger: Logger
    ) {
        self.database = database
        self.keys = keys
        self.hasher = hasher
        self.events = events
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
    ///   - origin: where the request came from.
    ///   - replaced: the caller's present session, which ends.
    public func signUp(_ form: SignUpForm, from origin: CallOrigin, replacing replaced: Principal?) async throws -> TokenPair {
        let taken = APIError.conflict("Account \(form.email.text) already exists")
        if try await UserStore.credentials(forEmail: form.email.text, in: database.reading) != nil {
            let userID = try await checkPassword(form.password, of: form.email, from: origin, whenWrong: taken)
            return try await openSession(for: userID, from: origin, replacing: replaced, whenRemoved: taken)
        }
        let userID: UserID
        do {
            userID = try await reportingLimits(from: origin) { try await createAccount(form, from: origin) }
        } catch UserStore.InsertionFailure.emailIsTaken {
            // Somebody was faster: the same person pressing the button twice, or not.
            userID = try await checkPassword(form.password, of: form.email, from: origin, whenWrong: taken)
        }
        return try await openSession(for: userID, from: origin, replacing: replaced, whenRemoved: taken)
    }

    /// Signs in with a password.
    ///
    /// Throws `unauthorized`, in the same words and after the same time, when there is no such account and when the
    /// password is wrong, and `rate_limited` after too many failures. Parameters as for `signUp`.
    public func signIn(
        _ email: EmailAddress, _ password: Password, from origin: CallOrigin, replacing replaced: Principal?
    ) async throws -> TokenPair {
        let wrong = APIError(.unauthorized, "InvalidSecret: the e-mail address or the password is wrong.")
        let userID = try await checkPassword(password, of: email, from: origin, whenWrong: wrong)
        return try await openSession(for: userID, from: origin, replacing: replaced, whenRemoved: wrong)
    }

    /// Exchanges a refresh token for new tokens, by the rules of convex-protocol.md 6.3. Never limited.
    ///
    /// - Returns: nil when the token is dead, which signs the client out. Trouble with the database is thrown instead.
    public func refresh(_ refreshToken: String, from origin: CallOrigin) async throws -> TokenPair? {
        guard let token = RefreshToken(refreshToken) else { return nil }
        switch try await SessionStore.rotate(token, in: database) {
        case .granted(let grant):
            return try issue(grant)
        case .reused(let userID):
            reportReuse(of: token, userID, from: origin)
        case .dead(let endedSessionOf):
            if let userID = endedSessionOf {
                reportEnd(of: token.sessionID, userID, "A refresh token that was not good ended its session.", from: origin)
            }
        }
        sessions.sessionsChanged([token.sessionID])
        return nil
    }

    /// Ends the caller's session: here when this returns, on other workers with their next tick.
    public func signOut(_ principal: Principal, from origin: CallOrigin) async throws {
        _ = try await database.write(SessionStore.ending(of: principal.sessionID))
        sessions.sessionsChanged([principal.sessionID])
        reportEnd(of: principal.sessionID, principal.userID, "Signed out.", from: origin)
    }

    // MARK: Parts

    private func checkPassword(
        _ password: Password, of email: EmailAddress, from origin: CallOrigin, whenWrong wrong: APIError
    ) async throws -> UserID {
        let attempt: SignInLimits.Attempt
        do {
            attempt = try await limits.begin(on: email, from: origin.address)
        } catch let refusal as APIError {
            // Whose account it is tells the administrator more, and nothing to the caller.
            let credentials = try? await UserStore.credentials(forEmail: email.text, in: database.reading)
            reportTooManyFailures(on: email, credentials?.userID, from: origin)
            throw refusal
        }
        let credentials: UserStore.Credentials?
        let isRight: Bool
        do {
            credentials = try await UserStore.credentials(forEmail: email.text, in: database.reading)
            isRight = try await reportingLimits(from: origin) {
                try await hasher.verify(password, against: credentials?.passwordHash)
            }
        } catch {
            await limits.abandoned(attempt)
            throw error
        }
        guard isRight, let userID = credentials?.userID else {
            logger.info("sign-in failed", metadata: ["network": "\(origin.address.network)"])
            reportFailure(on: email, credentials?.userID, from: origin)
            throw wrong
        }
        try await limits.succeeded(attempt)
        return userID
    }

    /// Throws `UserStore.InsertionFailure.emailIsTaken`, and `rate_limited`.
    private func createAccount(_ form: SignUpForm, from origin: CallOrigin) async throws -> UserID {
        try await limits.takeNewAccount(from: origin.address)
        let userID: UserID
        do {
            let passwordHash = try await hasher.hash(form.password)
            userID = try await insert(
                email: form.email, name: form.name, role: .user, accountType: form.accountType, passwordHash: passwordHash,
                in: database)
        } catch {
            await limits.giveBackNewAccount(from: origin.address)
            throw error
        }
        logger.info("account created", metadata: ["user": "\(userID)"])
        reportNewAccount(userID, from: origin)
        return userID
    }

    /// Throws `UserStore.InsertionFailure.emailIsTaken`.
    func insert(
        email: EmailAddress, name: DisplayName, role: Role, accountType: AccountType?, passwordHash: String?,
        in database: some StatementExecutor
    ) async throws -> UserID {
        do {
            return try await UserStore.insert(
                email: email.text, name: name, role: role, accountType: accountType, passwordHash: passwordHash, in: database)
        } catch UserStore.InsertionFailure.emailIsRefused {
            throw APIError(.validationError, "This is not an e-mail address.")
        }
    }

    private func openSession(
        for userID: UserID, from origin: CallOrigin, replacing replaced: Principal?, whenRemoved removed: APIError
    ) async throws -> TokenPair {
        let grant = try await SessionStore.open(for: userID, replacing: replaced?.sessionID, in: database)
        if let replaced {
            sessions.sessionsChanged([replaced.sessionID])
            reportEnd(of: replaced.sessionID, replaced.userID, "Another sign-in took the session's place.", from: origin)
        }
        // The account was removed since the password was checked.
        guard let grant else { throw removed }
        reportSignIn(grant, from: origin)
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
