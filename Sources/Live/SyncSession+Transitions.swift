import Domain
import Registry
import Wire

// What a client is told, and when it may be told.

extension LiveQueries {
    /// Sends the session a Transition, if one is due and possible: from what it was shown to the last tick's results.
    func show(_ session: SyncSession) {
        guard session.isOpen, session.connect != nil else { return }
        defer { endIfDrained(session) }
        let changes = changesToShow(session)
        guard !changes.isEmpty || session.owesTransition else {
            waiting.remove(session)
            return
        }
        owe(session)
        // What the client asked for last has to be in it.
        guard session.changedIn < lastTick else { return requestTick() }
        guard timestamp >= session.earliest else { return awaitEarliest(session) }
        // A client that compares timestamps may be shown what there is meanwhile; then the owed one still is to follow.
        let isOwedOne = timestamp >= session.owedPosition
        let versionsChange = session.shown.querySet != session.querySetVersion || session.shown.identity != session.identityVersion
        guard isOwedOne || (session.kind.comparesTimestamps && (versionsChange || !changes.isEmpty)) else {
            return requestTick(after: .milliseconds(5))
        }
        // First the response, then the Transition that shows the effect.
        guard !session.awaitsResponse(feedEpoch: connectedEpoch) else { return }
        guard !isStillOpening(session) else { return requestTick(after: .milliseconds(10)) }
        // A slow reader gets fewer, larger Transitions.
        guard session.outbound.pendingFrames < 2 else { return }
        guard session.subscriptions.values.allSatisfy({ $0.result != nil }) else { return requestTick() }
        if let expiry = session.tokenExpiresAt, expiry < .now() {
            return refuseIdentity(of: session, "Convex token identity expired")
        }

        let end = StateVersion(querySet: session.querySetVersion, identity: session.identityVersion, timestamp: timestamp)
        let text = ServerMessage.transition(
            from: session.shown, to: end, changes: changes, clockSkewMilliseconds: session.clockSkew,
            serverNanoseconds: Instant.now().microseconds * 1000)
        for (queryID, subscription) in session.subscriptions {
            if !subscription.isReported { reportFirstAnswer(of: subscription, to: session) }
            session.subscriptions[queryID]?.shown = subscription.result
            session.subscriptions[queryID]?.isReported = true
        }
        session.removals = []
        session.shown = end
        session.waitingSince = nil
        if isOwedOne {
            session.owesTransition = false
            waiting.remove(session)
        } else {
            requestTick(after: .milliseconds(5))
        }
        transitions.increment()
        if text.count > Self.chunkBytes, session.kind.knowsChunks {
            for chunk in ServerMessage.chunks(of: text, maximumBytes: Self.chunkBytes) { session.outbound.send(chunk) }
        } else {
            session.outbound.send(text)
        }
    }

    /// The opening messages are answered by one Transition (convex-protocol.md 3.5), although they may come in several packets. A
    /// JavaScript client always sends a query set, and after a reconnect then the mutations that were not answered, whose
    /// effects must not show before their responses.
    private func isStillOpening(_ session: SyncSession) -> Bool {
        guard session.shown.querySet == 0 else { return false }
        guard session.inbox.isEmpty else { return true }
        guard session.kind.comparesTimestamps else { return false }
        let silence = ContinuousClock.now - session.changedAt
        if session.querySetVersion == 0 { return silence < .milliseconds(100) }
        return session.connect?.connectionCount ?? 0 > 0 && silence < .milliseconds(10)
    }

    /// A subscription is one call of each who the client has been, however often its query runs again.
    private func reportFirstAnswer(of subscription: SyncSession.Subscription, to session: SyncSession) {
        guard let function = subscription.query?.function, let outcome = subscription.result?.callOutcome else { return }
        runner.reportAnswer(
            outcome, of: function, as: session.caller, from: session.clientAddress,
            after: ContinuousClock.now - subscription.askedAt)
    }

    /// A Transition is due to the session, whatever its queries come to.
    func owe(_ session: SyncSession) {
        session.owesTransition = true
        waiting.insert(session)
    }

    /// Beyond this a Transition goes in pieces; the original's limit.
    private static let chunkBytes = 5_000_000

    private func changesToShow(_ session: SyncSession) -> [ServerMessage.QueryChange] {
        var changes: [(UInt32, ServerMessage.QueryChange)] = session.removals.map { ($0, .removed(queryID: $0)) }
        for (queryID, subscription) in session.subscriptions {
            guard let result = subscription.result else { continue }
            if subscription.shown?.isSame(as: result) != true {
                changes.append((queryID, .result(queryID: queryID, body: result.body)))
            }
        }
        return changes.sorted { $0.0 < $1.0 }.map(\.1)
    }

    /// The client has seen, or done, something that no tick covers yet. The next one will, unless the client's timestamp is
    /// not of this database: after a while it is told to come again.
    private func awaitEarliest(_ session: SyncSession) {
        let since = session.waitingSince ?? .now
        session.waitingSince = since
        if ContinuousClock.now - since > .seconds(10) {
            end(session, .internalServerError)
        } else {
            requestTick(after: .milliseconds(5))
        }
    }

    /// The client is told that its sign-in no longer holds, and has to come again (convex-protocol.md 4.4).
    func refuseIdentity(of session: SyncSession, _ message: String) {
        session.outbound.send(
            ServerMessage.authError(message, baseVersion: session.shown.identity, authUpdateAttempted: false))
        end(session, .toldAlready)
    }

    /// Closes the socket and forgets what it watched.
    func end(_ session: SyncSession, _ reason: CloseReason) {
        if reason.isLimit { runner.reportLimit(of: session.caller, from: session.clientAddress) }
        session.outbound.close(reason)
        leave(session)
    }
}
