import Accounts
import Domain
import Postgres
import Registry
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

    struct MutationJob: Sendable {
        let call: ClientMessage.FunctionCall
        /// Who asked, fixed when the message was read.
        let caller: Caller
        let request: MutationRequest
    }

    struct ActionJob: Sendable {
        let call: ClientMessage.FunctionCall
        let caller: Caller
        let sessionID: UUIDBits
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

    private func isOpen(_ session: SyncSession) -> Bool { session.isOpen }

    private func refuse(_ session: SyncSession, _ error: any Error) {
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

    // MARK: Functions

    /// One at a time, in the order in which they came. What runs when the socket dies runs to its end.
    private nonisolated func performMutations(of session: SyncSession) async {
        while let job = await nextMutation(of: session) { await perform(job, of: session) }
    }

    private func nextMutation(of session: SyncSession) -> MutationJob? {
        guard session.isOpen, let job = session.mutationQueue.popFirst() else {
            session.runsMutations = false
            return nil
        }
        return job
    }

    private nonisolated func perform(_ job: MutationJob, of session: SyncSession) async {
        let requestID = RequestID(session: job.request.sessionID, request: job.request.requestID)
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                let epoch = await begin(job.call.requestID, of: session)
                let function = try runner.find(job.call.path, as: .mutation, requestID: requestID)
                let arguments = try runner.decodeArguments(job.call.arguments, of: function, requestID: requestID)
                let outcome = try await runner.runMutation(
                    function, arguments: arguments, caller: job.caller, request: job.request,
                    clientAddress: session.clientAddress, requestID: requestID)
                switch outcome {
                case .success(let recorded):
                    if await answer(recorded, of: job.request, session, whenToldSince: epoch) { return }
                    let position = try await positionBehind(job.request, of: session)
                    await answer(job.call.requestID, .success(recorded.result), at: position, session)
                case .failure(let failure):
                    await answer(
                        job.call.requestID, .failure(message: failure.message, errorData: failure.errorData), at: nil, session)
                }
                return
            } catch let failure as FunctionFailure {
                return await answer(
                    job.call.requestID, .failure(message: failure.message, errorData: failure.errorData), at: nil, session)
            } catch {
                // The database is away. The request is recorded with its effect, so that running it again is harmless.
                guard ContinuousClock.now < deadline, !Task.isCancelled, await isOpen(session) else { return await refuse(session, error) }
                try? await Task.sleep(for: .milliseconds(Int64.random(in: 50...250)))
            }
        }
    }

    private nonisolated func perform(_ job: ActionJob, of session: SyncSession) async {
        let requestID = RequestID(session: job.sessionID, request: job.call.requestID)
        let outcome: ServerMessage.Outcome
        do {
            let function = try runner.find(job.call.path, as: .action, requestID: requestID)
            let arguments = try runner.decodeArguments(job.call.arguments, of: function, requestID: requestID)
            switch try await runner.runAction(
                function, arguments: arguments, caller: job.caller, clientAddress: session.clientAddress, requestID: requestID)
            {
            case .success(let value): outcome = .success(value)
            case .failure(let failure): outcome = .failure(message: failure.message, errorData: failure.errorData)
            }
        } catch {
            let failure = error as? FunctionFailure ?? .unexpected(requestID: requestID)
            outcome = .failure(message: failure.message, errorData: failure.errorData)
        }
        await answer(job.call.requestID, outcome, session)
    }

    /// Sends an action's response.
    private func answer(_ requestID: UInt32, _ outcome: ServerMessage.Outcome, _ session: SyncSession) {
        session.actions -= 1
        guard session.isOpen else { return }
        session.outbound.send(ServerMessage.actionResponse(requestID: requestID, outcome: outcome))
        endIfDrained(session)
    }

    /// Sends a successful mutation's response as soon as it is known where it was committed.
    ///
    /// - Parameter epoch: of the feed when the mutation began; nil if the feed was not connected.
    /// - Returns: false if the feed will not tell: the mutation was not recorded, or not now, or the feed was lost.
    private func answer(
        _ recorded: MutationRequests.Recorded, of request: MutationRequest, _ session: SyncSession, whenToldSince epoch: UInt64?
    ) async -> Bool {
        let requestID = request.requestID
        if let position = recentRequests[request] {
            answer(requestID, .success(recorded.result), at: position, session)
            return true
        }
        guard recorded.isNew, feedEpoch == epoch, session.isOpen, session.mutations[requestID] != nil else { return false }
        return await withCheckedContinuation {
            session.mutations[requestID]?.waiter = (recorded.result, $0)
        }
    }

    /// A position at or behind the mutation's commit: a Transition that reaches it shows the effect.
    private nonisolated func positionBehind(_ request: MutationRequest, of session: SyncSession) async throws -> LogPosition {
        await holdTransitions(for: request.requestID, of: session)
        guard let row = try await database.write(Self.endOfLog()).first, let position = LogPosition(try row.decode(0, as: String.self))
        else { throw ProtocolViolation("the database has no log position") }
        return await remember(position, of: request)
    }

    /// A repeat is told what the first one was told, which may have come in between.
    private func remember(_ position: LogPosition, of request: MutationRequest) -> LogPosition {
        recentRequests.insert(request, at: position)
        return recentRequests[request] ?? position
    }

    /// A Transition that reaches the position which is now being asked for has to come after the response.
    private func holdTransitions(for requestID: UInt32, of session: SyncSession) {
        session.mutations[requestID]?.position = .zero
    }

    /// Nil while the feed is not connected. A transaction that begins before it is may be missing from it.
    var connectedEpoch: UInt64? { feedState == .connected ? feedEpoch : nil }

    private func begin(_ requestID: UInt32, of session: SyncSession) -> UInt64? {
        session.mutations[requestID]?.beganIn = feedEpoch
        return connectedEpoch
    }

    /// Writes a record that says nothing, and gives its place: behind everything so far, Transitions' timestamps included.
    private static let endOfLog = Statement(
        "feed.end_of_log", "SELECT pg_logical_emit_message(true, 'attune.position', '')::text")

    /// The feed has delivered the commit of a socket's mutation, on whichever worker it ran.
    func noteCommit(of request: MutationRequest, at position: LogPosition) {
        recentRequests.insert(request, at: position)
        for session in sessionsByClient[request.sessionID].values {
            guard let mutation = session.mutations[request.requestID] else { continue }
            session.mutations[request.requestID]?.position = position
            guard let waiter = mutation.waiter else { continue }
            answer(request.requestID, .success(waiter.result), at: position, session)
            waiter.isAnswered.resume(returning: true)
        }
    }

    /// Sends a mutation's response; the Transition that clients wait for after it follows.
    private func answer(
        _ requestID: UInt32, _ outcome: ServerMessage.Outcome, at position: LogPosition?, _ session: SyncSession
    ) {
        guard session.isOpen else { return }
        session.mutations[requestID] = nil
        pendingMutations -= 1
        session.outbound.send(ServerMessage.mutationResponse(requestID: requestID, outcome: outcome, timestamp: position))
        if let position { session.owedPosition = max(session.owedPosition, position) }
        owe(session)
        show(session)
        if session.owesTransition { requestTick() }
    }
}
