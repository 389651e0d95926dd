import Accounts
import Domain
import Postgres
import Registry
import Reporting
import Store
import Wire

// What clients say, and what it does. One socket's messages are taken strictly in order.

extension LiveQueries {
    /// Serves one socket until its inbox ends. Returns at once.
    ///
    /// - Parameters:
    ///   - inbox: the text frames that arrive; `finish` it when the socket is closed.
    ///   - clientAddress: for limits.
    public nonisolated func serve(
        _ inbox: FrameInbox, outbound: any SyncOutbound, kind: ClientKind, clientAddress: IPAddress
    ) {
        let session = SyncSession(outbound: outbound, kind: kind, clientAddress: clientAddress, inbox: inbox)
        // These tasks, and those of mutations and actions, are in no group: a group for each socket would need a task that
        // waits, which costs some kilobytes. They end by themselves, and what a socket has asked for runs to its end.
        inbox.serve { Task { await self.takeWhatHasCome(to: session) } }
    }

    private nonisolated func takeWhatHasCome(to session: SyncSession) async {
        await join(session)
        while let event = session.inbox.next() {
            do {
                switch try await take(event, from: session) {
                case .nothing: break
                case .mutations: Task { await performMutations(of: session) }
                case .action(let job): Task { await perform(job, of: session) }
                case .stop: session.inbox.finish()
                }
            } catch {
                await refuse(session, error)
                session.inbox.finish()
            }
        }
    }

    /// What a message asks for beyond a change of state.
    private enum FollowUp {
        case nothing
        /// There are mutations to run, and nobody does.
        case mutations
        case action(ActionJob)
        /// The socket is being closed; what else it sent is of no interest.
        case stop
    }

    // MARK: Coming and going

    private func join(_ session: SyncSession) {
        guard session.isNew else { return }
        session.isNew = false
        sessions.insert(session)
        socketGauge.record(sessions.count)
    }

    func leave(_ session: SyncSession) {
        guard session.isOpen else { return }
        session.isOpen = false
        sessions.remove(session)
        waiting.remove(session)
        pendingMutations -= session.mutations.count
        if let user = session.caller.principal?.userID { sessionsByUser.remove(session, at: user) }
        if let client = session.connect?.sessionID { sessionsByClient.remove(session, at: client) }
        socketGauge.record(sessions.count)
        let watched = session.subscriptions.values.compactMap(\.query)
        session.subscriptions = [:]
        for query in watched { removeWatcher(session, from: query) }
        session.mutationQueue = []
        // Nobody is there to be answered.
        session.releaseWaiters(isAnswered: true)
    }

    func isOpen(_ session: SyncSession) -> Bool { session.isOpen }

    func refuse(_ session: SyncSession, _ error: any Error) {
        guard session.isOpen else { return }
        logger.debug("closing a socket", metadata: ["reason": "\(error)"])
        end(session, .internalServerError)
    }

    // MARK: Messages

    private func take(_ event: FrameInbox.Event, from session: SyncSession) async throws -> FollowUp {
        switch event {
        case .frame(let frame):
            return try await take(try ClientMessage(parsing: frame), from: session)
        case .room:
            if session.owesTransition { show(session) }
        case .drain:
            session.isDraining = true
            endIfDrained(session)
        case .end:
            leave(session)
        }
        return .nothing
    }

    /// When the worker stops, closes the socket as soon as the client has been told all that it waits for. What it asks for
    /// from now on, it asks for again elsewhere.
    func endIfDrained(_ session: SyncSession) {
        guard session.isDraining, session.isOpen, session.mutations.isEmpty, session.actions == 0, !session.owesTransition
        else { return }
        end(session, .workerStops)
    }

    private func take(_ message: ClientMessage, from session: SyncSession) async throws -> FollowUp {
        guard session.isOpen else { return .stop }
        // The first Transition waits for all that had arrived; this may have been the last of it.
        defer { if session.owesTransition, session.shown.querySet == 0, session.inbox.isEmpty { show(session) } }
        switch message {
        case .connect(let connect):
            try takeConnect(connect, from: session)
        case .event:
            break
        case .modifyQuerySet(let baseVersion, let newVersion, let modifications):
            try takeModifications(modifications, from: baseVersion, to: newVersion, session)
        case .authenticate(let baseVersion, let token):
            return try await takeAuthentication(token, baseVersion, session)
        case .mutation(let call):
            guard let connect = session.connect else { throw ProtocolViolation("Mutation before Connect") }
            guard session.mutations.count < configuration.maximumMutationsPerSocket else {
                end(session, .tooManyConcurrentMutations)
                return .stop
            }
            guard pendingMutations < configuration.maximumMutations else {
                end(session, .tooManyConcurrentRequests)
                return .stop
            }
            guard session.mutations[call.requestID] == nil else { throw ProtocolViolation("Mutation with a repeated requestId") }
            guard tokenIsCurrent(of: session) else { return .stop }
            let request = MutationRequest(sessionID: connect.sessionID, requestID: call.requestID)
            session.mutations[call.requestID] = SyncSession.PendingMutation(position: recentRequests[request])
            pendingMutations += 1
            session.mutationQueue.append(MutationJob(call: call, caller: session.caller, request: request))
            guard !session.runsMutations else { return .nothing }
            session.runsMutations = true
            return .mutations
        case .action(let call):
            guard let connect = session.connect else { throw ProtocolViolation("Action before Connect") }
            guard session.actions < configuration.maximumActionsPerSocket else {
                end(session, .tooManyConcurrentRequests)
                return .stop
            }
            guard tokenIsCurrent(of: session) else { return .stop }
            session.actions += 1
            return .action(ActionJob(call: call, caller: session.caller, sessionID: connect.sessionID))
        }
        return .nothing
    }

    private func tokenIsCurrent(of session: SyncSession) -> Bool {
        guard let expiry = session.tokenExpiresAt, expiry < .now() else { return true }
        refuseIdentity(of: session, "Convex token identity expired")
        return false
    }

    private func takeConnect(_ connect: ClientMessage.Connect, from session: SyncSession) throws {
        guard session.connect == nil else { throw ProtocolViolation("a second Connect") }
        if let observed = connect.maxObservedTimestamp {
            // JavaScript cannot compare timestamps with the highest bit.
            guard observed.rawValue < 1 << 63 else { throw ProtocolViolation("maxObservedTimestamp is out of range") }
            session.earliest = observed
        }
        session.connect = connect
        sessionsByClient.insert(session, at: connect.sessionID)
        if let clock = connect.clientMilliseconds, clock > 0, clock < 1e15 {
            session.clockSkew = Int64(clock - Instant.now().milliseconds)
        }
    }

    private func takeModifications(
        _ modifications: [ClientMessage.QuerySetModification], from baseVersion: UInt32, to newVersion: UInt32, _ session: SyncSession
    ) throws {
        guard session.connect != nil else { throw ProtocolViolation("ModifyQuerySet before Connect") }
        guard baseVersion == session.querySetVersion, newVersion > baseVersion else {
            throw ProtocolViolation("ModifyQuerySet \(baseVersion) → \(newVersion), but the query set is at \(session.querySetVersion)")
        }
        for modification in modifications {
            switch modification {
            case .add(let queryID, let path, let arguments, let journal):
                guard session.subscriptions[queryID] == nil else { throw ProtocolViolation("Add of a queryId that is in use") }
                guard session.subscriptions.count < configuration.maximumQueriesPerSocket,
                    queries.count < configuration.maximumQueries
                else { return end(session, .tooManyQueries) }
                let request = QueryRequest(path: path, arguments: arguments, journal: journal)
                session.removals.remove(queryID)
                session.subscriptions[queryID] = SyncSession.Subscription(
                    source: source(for: request, of: session, journal: journal), request: request)
            case .remove(let queryID):
                guard let subscription = session.subscriptions.removeValue(forKey: queryID) else {
                    throw ProtocolViolation("Remove of a queryId that is not in use")
                }
                session.removals.insert(queryID)
                if let query = subscription.query { removeWatcher(session, from: query) }
            }
        }
        session.querySetVersion = newVersion
        noteChange(of: session)
    }

    private func takeAuthentication(
        _ token: ClientMessage.Token, _ baseVersion: UInt32, _ session: SyncSession
    ) async throws -> FollowUp {
        guard session.connect != nil else { throw ProtocolViolation("Authenticate before Connect") }
        guard baseVersion == session.identityVersion else {
            throw ProtocolViolation("Authenticate \(baseVersion), but the identity is at \(session.identityVersion)")
        }
        var caller = Caller.anonymous
        var expiry: Instant?
        switch token {
        case .none: break
        case .admin:
            return refuseToken(session, "Administrator keys are not used here.")
        case .user(let value):
            do {
                let authenticated = try await accounts.sessions.caller(forToken: value)
                caller = authenticated.caller
                expiry = authenticated.tokenExpiresAt
            } catch let failure as AuthenticationFailure {
                accounts.reportRefusedToken(failure, from: CallOrigin(address: session.clientAddress))
                return refuseToken(session, failure.message)
            }
        }
        // The socket may be gone by now; and the session may have ended after the look-up and before a tick could have known
        // that this socket has it, so the next tick looks again.
        guard session.isOpen else { return .stop }
        session.identityVersion += 1
        session.tokenExpiresAt = expiry
        become(caller, session)
        session.identityIsUnchecked = caller != .anonymous
        session.identityChangedIn = begunTicks
        noteChange(of: session)
        return .nothing
    }

    private func refuseToken(_ session: SyncSession, _ message: String) -> FollowUp {
        session.outbound.send(
            ServerMessage.authError(message, baseVersion: session.shown.identity, authUpdateAttempted: true))
        end(session, .toldAlready)
        return .stop
    }

    /// A tick that begins from now on answers what the client has just asked for.
    private func noteChange(of session: SyncSession) {
        session.changedIn = begunTicks
        session.changedAt = .now
        owe(session)
        requestTick()
    }
}
