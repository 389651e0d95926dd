import Domain

/// Measures how long sockets keep an identity that has been taken away: from the acknowledgement of the sign-out, removal or change
/// of role to the moment at which the socket says so. Used on the clients' event loop only.
final class IdentityLosses: @unchecked Sendable {
    // Unchecked: touched on the loop only.

    enum Change: Hashable {
        case end(of: SessionID)
        case removal(UserID)
        case role(UserID)
    }

    private let statistics: Statistics
    private var acknowledged: [Change: ContinuousClock.Instant] = [:]
    /// Sockets that heard of a change before whoever made it, and since when they had had the identity.
    private var early: [Change: [ContinuousClock.Instant]] = [:]
    /// When there was trouble last. Times with a fault near say nothing.
    var lastFault = ContinuousClock.now

    init(statistics: Statistics) {
        self.statistics = statistics
    }

    func acknowledge(_ change: Change) {
        acknowledged[change] = .now
        for heldSince in early.removeValue(forKey: change) ?? [] { notice(change, heldSince: heldSince) }
    }

    /// A socket shows the change.
    ///
    /// - Parameter heldSince: a socket that comes with a dead token has nothing to lose.
    func notice(_ change: Change, heldSince: ContinuousClock.Instant) {
        // A role can change again and again: long after the last change it is the next one.
        var time = acknowledged[change]
        if case .role = change, let last = time, last + .seconds(20) < .now { time = nil }
        guard let time else {
            early[change, default: []].append(heldSince)
            return
        }
        guard heldSince < time, lastFault + .seconds(5) < time else { return }
        let milliseconds = (ContinuousClock.now - time) / .milliseconds(1)
        statistics.count { $0.identityLosses.append(milliseconds) }
    }

    /// Of a session that has ended: with a sign-out, or with its account.
    func noticeEnd(of signIn: World.SignIn, heldSince: ContinuousClock.Instant) {
        let removal = Change.removal(signIn.user)
        notice(acknowledged[removal] == nil ? .end(of: signIn.session) : removal, heldSince: heldSince)
    }
}
