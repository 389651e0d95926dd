import Crypto
import Domain
import Postgres
import Store
import Synchronization

/// A caller whose token and session were found good.
public struct AuthenticatedCaller: Hashable, Sendable {
    public let principal: Principal
    /// Of the token; after it the same socket needs another one.
    public let tokenExpiresAt: Instant

    public var caller: Caller { .user(principal) }
}

/// Who is behind a token, asked on each request.
///
/// Verified tokens are remembered, since a signature check costs as much as a small query. Live sessions are remembered
/// only while the change feed is connected and so would say when one ends; else each call asks the database.
public final class SessionDirectory: Sendable {
    private struct State {
        /// By the tokens' digests, which are shorter.
        var tokens: BoundedCache<SHA256.Digest, AccessToken>
        var sessions: BoundedCache<SessionID, LiveSession>
        var feedIsCurrent = false
        /// Counts invalidations. What was read before one may be out of date after it, and is not kept.
        var epoch: UInt64 = 0
    }

    private let tokens: AccessTokens
    private let database: PostgresClient
    private let now: @Sendable () -> Instant
    private let state: Mutex<State>

    /// - Parameter capacity: how many tokens, and how many sessions, are remembered at most.
    init(tokens: AccessTokens, database: PostgresClient, capacity: Int = 10_000, now: @escaping @Sendable () -> Instant) {
        self.tokens = tokens
        self.database = database
        self.now = now
        state = Mutex(State(tokens: BoundedCache(capacity: capacity), sessions: BoundedCache(capacity: capacity)))
    }

    /// The caller who presents the token.
    ///
    /// Throws `AuthenticationFailure` when the token is not good, or no longer; any other error means that it could not be
    /// found out.
    public func caller(forToken token: String) async throws -> AuthenticatedCaller {
        let now = now()
        let digest = SHA256.hash(data: Array(token.utf8))
        let (remembered, session, epoch) = state.withLock { state in
            let accessToken = state.tokens.value(for: digest)
            return (accessToken, accessToken.flatMap { state.sessions.value(for: $0.sessionID) }, state.epoch)
        }
        let accessToken: AccessToken
        if let remembered {
            guard !remembered.hasExpired(at: now) else { throw AuthenticationFailure.expired }
            accessToken = remembered
        } else {
            accessToken = try tokens.verify(token, at: now)
            state.withLock { $0.tokens.insert(accessToken, for: digest) }
        }
        let live: LiveSession
        if let session {
            live = session
        } else {
            guard let found = try await SessionStore.live([accessToken.sessionID], in: database.reading).first else {
                throw AuthenticationFailure.sessionEnded
            }
            live = found
            state.withLock { state in
                guard state.feedIsCurrent, state.epoch == epoch else { return }
                state.sessions.insert(found, for: accessToken.sessionID)
            }
        }
        // A genuine token names its session's user; anything else is not one that we issued.
        guard live.expiresAt > now, live.principal.userID == accessToken.userID else {
            throw AuthenticationFailure.sessionEnded
        }
        return AuthenticatedCaller(principal: live.principal, tokenExpiresAt: accessToken.expiresAt)
    }

    /// Those of the sessions that are live, with their users' present roles, as `database` sees them: a tick's snapshot.
    /// Sessions that have ended are not in the answer.
    public func current(
        _ sessionIDs: [SessionID], in database: some StatementExecutor
    ) async throws -> [SessionID: Principal] {
        guard !sessionIDs.isEmpty else { return [:] }
        let live = try await SessionStore.live(sessionIDs, in: database)
        return Dictionary(uniqueKeysWithValues: live.map { ($0.principal.sessionID, $0.principal) })
    }

    // MARK: What the change feed says
    // It may call these before the change is visible to new snapshots, if it calls them again afterwards; once at the time
    // when the change is visible is enough.

    /// Whether changes made from now on will be reported. Starts as false.
    public func feedIsCurrent(_ isCurrent: Bool) {
        invalidate { state in
            state.feedIsCurrent = isCurrent
            state.sessions.removeAll()
        }
    }

    /// These sessions were opened, ended or deleted.
    public func sessionsChanged(_ ids: some Sequence<SessionID>) {
        invalidate { state in
            for id in ids { state.sessions.remove(id) }
        }
    }

    /// These accounts changed: perhaps their role, or they were removed.
    public func usersChanged(_ ids: some Collection<UserID>) {
        guard !ids.isEmpty else { return }
        let changed = Set(ids)
        // Rare enough to look at all sessions, a fraction of a millisecond for thousands.
        invalidate { state in state.sessions.removeAll { changed.contains($0.principal.userID) } }
    }

    /// Changes may have been missed.
    public func everythingChanged() {
        invalidate { $0.sessions.removeAll() }
    }

    private func invalidate(_ change: (inout State) -> Void) {
        state.withLock { state in
            state.epoch += 1
            change(&state)
        }
    }
}
