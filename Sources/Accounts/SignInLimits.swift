import Crypto
import Domain
import FoundationEssentials
import Postgres
import Store

/// How often somebody may guess a password, and make accounts.
///
/// Failures are counted, not successes: 10 an hour for an account from one network, and 100 an hour for a network over all
/// accounts. Failures from elsewhere do not count against a network, so nobody can lock somebody else out.
struct SignInLimits: Sendable {
    /// A guess under way. It must end in one call of `succeeded` or `abandoned`, or, when the guess was wrong, in none.
    struct Attempt: Sendable {
        fileprivate let account: RateLimit
        fileprivate let network: RateLimit
    }

    static let failuresPerAccount = 10
    static let failuresPerNetwork = 100

    let database: PostgresClient
    let pseudonymSecret: SymmetricKey
    let newAccountsPerHour: Int

    /// Counts the guess as a failure beforehand. Were it counted afterwards, a thousand guesses sent at once would all be
    /// checked before the first of them is counted. So no more than ten guesses at an account are under way at once from one
    /// network, right ones included.
    ///
    /// Throws `rate_limited` when there were too many failures.
    func begin(on email: EmailAddress, from address: IPAddress) async throws -> Attempt {
        let network = address.network
        let attempt = Attempt(
            account: RateLimit(key: "sign_in/\(pseudonym(of: email))/\(network)", perHour: Self.failuresPerAccount),
            network: RateLimit(key: "sign_in/\(network)", perHour: Self.failuresPerNetwork))
        try await take([attempt.account, attempt.network], "TooManyFailedAttempts: too many failed sign-ins.")
        return attempt
    }

    /// The password was right: none of the account's earlier failures from this network count any more.
    func succeeded(_ attempt: Attempt) async throws {
        _ = try await database.write([RateLimitStore.clearing(attempt.account), RateLimitStore.returning(attempt.network)])
    }

    /// Nobody knows whether the password was right.
    func abandoned(_ attempt: Attempt) async {
        // If this fails too, the bucket refills by itself.
        _ = try? await database.write([RateLimitStore.returning(attempt.account), RateLimitStore.returning(attempt.network)])
    }

    /// Throws `rate_limited` when the network has made too many accounts.
    func takeNewAccount(from address: IPAddress) async throws {
        try await take([newAccounts(from: address)], "Too many new accounts from this network.")
    }

    /// The account was not made after all.
    func giveBackNewAccount(from address: IPAddress) async {
        _ = try? await database.write(RateLimitStore.returning(newAccounts(from: address)))
    }

    private func newAccounts(from address: IPAddress) -> RateLimit {
        RateLimit(key: "sign_up/\(address.network)", perHour: newAccountsPerHour)
    }

    private func take(_ limits: [RateLimit], _ message: String) async throws {
        switch try await RateLimitStore.take(limits, in: database) {
        case .granted:
            return
        case .refused(let wait):
            let seconds = max(1, wait.components.seconds)
            throw APIError(
                .rateLimited, "\(message) Try again in \(seconds) seconds.", details: ["retryAfterSeconds": "\(seconds)"])
        }
    }

    /// Stands for the address in a table that anyone with psql can read.
    func pseudonym(of email: EmailAddress) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: Data(email.text.utf8), using: pseudonymSecret)
        return Base64URL.encode(Array(code).prefix(16))
    }
}
