import Domain
import Reporting
import Store
import Wire

/// What people do with their accounts, as security events.
///
/// An account that is guessed at is named by the pseudonym that limits use (`account` in the context), and by its user if there
/// is one; never by its e-mail address.
extension Accounts {
    func reportSignIn(_ grant: Grant, from origin: CallOrigin) {
        events?.report(
            SecurityEventType.loginSuccess, .low, "Signed in with a password.", user: grant.userID, session: grant.sessionID,
            origin: origin)
    }

    /// - Parameter userID: nil: there is no such account.
    func reportFailure(on email: EmailAddress, _ userID: UserID?, from origin: CallOrigin) {
        events?.report(
            SecurityEventType.loginFail, .medium, "A sign-in failed: the e-mail address or the password is wrong.", user: userID,
            origin: origin, context: guess(at: email, from: origin))
    }

    /// A guess that the limits do not let through.
    func reportTooManyFailures(on email: EmailAddress, _ userID: UserID?, from origin: CallOrigin) {
        events?.report(
            SecurityEventType.loginFailMax, .high, "A sign-in was refused after too many failures.", user: userID, origin: origin,
            context: guess(at: email, from: origin),
            series: .init("\(limits.pseudonym(of: email)) \(origin.address.network)"))
    }

    private func guess(at email: EmailAddress, from origin: CallOrigin) -> [(name: String, value: JSON)] {
        [("account", .string(limits.pseudonym(of: email))), ("network", .string(origin.address.network.description))]
    }

    func reportNewAccount(_ userID: UserID, from origin: CallOrigin) {
        events?.report(SecurityEventType.userCreated, .low, "A new account was made.", user: userID, origin: origin)
    }

    func reportEnd(of session: SessionID, _ userID: UserID, _ details: String, from origin: CallOrigin) {
        events?.report(SecurityEventType.sessionEnded, .low, details, user: userID, session: session, origin: origin)
    }

    func reportReuse(of token: RefreshToken, _ userID: UserID, from origin: CallOrigin) {
        events?.report(
            SecurityEventType.tokenReuse, .high,
            "A refresh token was used again long after its first use: perhaps it was stolen. The tokens that came of it are void.",
            user: userID, session: token.sessionID, origin: origin, series: .init("\(token.sessionID)"))
    }

    /// A token was not accepted. Only forgeries are of interest: clients keep old tokens, and tokens of other installations.
    public func reportRefusedToken(_ failure: AuthenticationFailure, from origin: CallOrigin) {
        guard failure == .forged else { return }
        events?.report(
            SecurityEventType.accessRefused, .medium, "A token was presented that is not signed with a key of ours.",
            origin: origin, context: [("code", .string("forged_token"))], series: .init("forged \(origin.address.network)"))
    }

    /// Runs `body`, and reports when a limit refuses it.
    func reportingLimits<Value>(from origin: CallOrigin, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as APIError where error.code == .rateLimited {
            events?.reportLimit(from: origin)
            throw error
        }
    }
}

extension SecurityLog {
    /// A call that a limit refuses.
    public func reportLimit(user: UserID? = nil, session: SessionID? = nil, from origin: CallOrigin) {
        report(
            SecurityEventType.rateLimited, .medium, "A call was refused since there had been too many.", user: user,
            session: session, origin: origin, context: [("network", .string(origin.address.network.description))],
            series: .init("\(origin.address.network) \(origin.function?.description ?? "")"))
    }
}
