import Accounts
import Domain
import Postgres
import Registry
import Store
import Wire

// Mutations and actions that came over sockets, and when their responses are sent.

extension LiveQueries {
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

    /// One at a time, in the order in which they came. What runs when the socket dies runs to its end.
    nonisolated func performMutations(of session: SyncSession) async {
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

    nonisolated func perform(_ job: ActionJob, of session: SyncSession) async {
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
        // A repeat may have been answered before the feed has told, with a later position: then that is what all are told.
        recentRequests.insert(request, at: position)
        let position = recentRequests[request] ?? position
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
