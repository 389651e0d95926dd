import Domain
import Wire

// What the server says, and what every client counts on (convex-protocol.md 9).

extension SimulatedClient {
    func receive(_ event: SyncConnection.Event) {
        switch event {
        case .ping: if kind == .python { lastHeard = .now }
        case .text(let bytes):
            lastHeard = .now
            guard let message = try? JSON(parsing: bytes) else {
                return find("a message that is not JSON", String(decoding: bytes.prefix(500), as: UTF8.self))
            }
            take(message)
        case .closing(let reason): closed(reason: reason.isEmpty ? "closed" : reason)
        case .closed: closed(reason: "lost")
        }
    }

    private func take(_ message: JSON) {
        let type = message["type"]?.stringValue
        if type != "Ping", type != "ActionResponse" { name.history.note("< \(message.text)") }
        if !chunks.isEmpty, type != "TransitionChunk", type != "Ping" { find("\(type ?? "?") between two chunks", message.text) }
        switch type {
        case "Transition": takeTransition(message)
        case "TransitionChunk": takeChunk(message)
        case "MutationResponse": takeMutationResponse(message)
        case "ActionResponse":
            guard let id = message["requestId"]?.counterValue, let completion = actions.removeValue(forKey: id) else {
                return find("a response to an action that was not asked for", message.text)
            }
            completion(self, message)
        case "AuthError": takeAuthError(message)
        case "Ping": break
        default: find("a message of type \(type ?? "?")", message.text)
        }
    }

    private func takeChunk(_ chunk: JSON) {
        chunks.append(chunk)
        guard chunk["partNumber"]?.counterValue.map(Int.init) == chunks.count - 1, let total = chunk["totalParts"]?.counterValue else {
            return find("a chunk that does not continue the one before", chunk.text)
        }
        guard chunks.count == Int(total) else { return }
        let text = chunks.map { $0["chunk"]?.stringValue ?? "" }.joined()
        chunks = []
        guard let transition = try? JSON(parsing: text.utf8) else { return find("chunks that make no Transition", text) }
        takeTransition(transition)
    }

    private func takeTransition(_ message: JSON) {
        guard let start = SyncVersion(message["startVersion"]), let end = SyncVersion(message["endVersion"]),
            let modifications = message["modifications"]?.arrayValue
        else { return find("a malformed Transition", message.text) }
        if start != version { find("a Transition that starts at \(start), when the last one ended at \(version)", message.text) }
        if end.timestamp < version.timestamp { find("ts goes back, from \(version.timestamp) to \(end.timestamp)", message.text) }
        if end.timestamp < earliest {
            find("ts goes back over a reconnect: \(end.timestamp), when \(earliest) was the maxObservedTimestamp", message.text)
        }
        if end.querySet > querySetVersion || end.identity >= UInt32(identities.count) {
            find("a Transition to \(end), which was not asked for", message.text)
        }
        var modified: Set<UInt32> = []
        for modification in modifications {
            guard let id = modification["queryId"]?.counterValue, modified.insert(id).inserted else {
                find("a modification without queryId, or the second one of its query", modification.text)
                continue
            }
            takeModification(modification, id)
        }
        version = end
        maxObserved = max(maxObserved, end.timestamp)
        guard world.findings.isEmpty else { return }
        if subscriptions.values.allSatisfy({ $0.shown != nil }) { retries = 0 }
        let session = end.identity < UInt32(identities.count) ? identities[Int(end.identity)]?.session : nil
        world.report(
            .transition(
                TransitionReport(
                    client: name, connection: connectionCount, worker: worker ?? "?", start: start, end: end, session: session,
                    held: subscriptions.compactMapValues { subscription in
                        subscription.shown.map {
                            HeldResult(query: subscription.query, shown: $0, memory: subscription.memory, askedAt: subscription.askedAt)
                        }
                    }, modified: modified, message: message, sentAt: Self.integer(message["serverTs"]), receivedAt: .now)))
        for (id, mutation) in mutations {
            guard let answer = mutation.answer, kind == .python || answer.timestamp <= end.timestamp else { continue }
            mutations[id] = nil
        }
    }

    private static func integer(_ json: JSON?) -> Int64 {
        if case .number(let value) = json { Int64(value) } else { 0 }
    }

    private func takeModification(_ modification: JSON, _ id: UInt32) {
        let type = modification["type"]?.stringValue
        // Unsubscribed meanwhile.
        guard subscriptions[id] != nil, type != "QueryRemoved" else { return }
        guard modification["logLines"]?.arrayValue != nil else { return find("a modification without logLines", modification.text) }
        subscriptions[id]!.journal = modification["journal"]?.stringValue
        switch type {
        case "QueryUpdated":
            guard let value = modification["value"] else { return find("a QueryUpdated without value", modification.text) }
            if case .currentUser = subscriptions[id]!.query, case .value(let before)? = subscriptions[id]!.shown,
                let user = before["_id"]?.stringValue.flatMap({ UserID($0) }), value["_id"] == before["_id"], value["role"] != before["role"]
            {
                world.identityLosses.notice(.role(user), heldSince: authenticatedAt)
            }
            subscriptions[id]!.shown = .value(value)
        case "QueryFailed":
            let error = modification["errorData"]
            subscriptions[id]!.shown = .failure(
                code: error?["code"]?.stringValue ?? "?", paginationError: error?["paginationError"]?.stringValue,
                message: modification["errorMessage"]?.stringValue ?? "")
        default: find("an unknown modification", modification.text)
        }
    }

    private func takeMutationResponse(_ message: JSON) {
        guard let id = message["requestId"]?.counterValue, let succeeded = message["success"]?.boolValue, let result = message["result"],
            message["logLines"]?.arrayValue != nil
        else { return find("a malformed MutationResponse", message.text) }
        guard unanswered.remove(id) != nil else {
            return find("a response to request \(id), which was not made on this connection or was answered before", message.text)
        }
        guard let mutation = mutations[id] else { return }
        let outcome: MutationAnswer.Outcome
        if succeeded {
            guard let position = message["ts"]?.stringValue.flatMap({ Base64.decode(littleEndian: $0) }).map({ LogPosition($0) }) else {
                return find("a successful mutation without ts", message.text)
            }
            if mutation.connections.count == 1, version.timestamp >= position {
                find("a response with ts \(position) behind a Transition at \(version.timestamp)", message.text)
            }
            if let earlier = mutation.answer, kind == .javaScript, !earlier.result.isSame(as: result) {
                find("another result than the first time, which was \(earlier.result.text)", message.text)
            }
            if mutation.answer == nil { world.statistics.count { $0.mutationsAcknowledged += 1 } }
            mutations[id]!.answer = (result, position)
            maxObserved = max(maxObserved, position)
            outcome = .success(result, timestamp: position)
        } else {
            // A repeat by somebody else is refused, and Python's clients have no repeats.
            if mutation.answer != nil, kind == .javaScript, mutation.user == identities.last??.user {
                find("a failure, when it had succeeded the first time", message.text)
            }
            mutations[id] = nil
            outcome = .failure(code: message["errorData"]?["code"]?.stringValue ?? "?")
        }
        world.report(
            .answer(
                MutationAnswer(
                    client: name, request: RequestKey(session: sessionID, request: id), effect: mutation.effect, outcome: outcome,
                    sends: mutation.connections.count)))
    }

    /// The sign-in does not hold any more. The application signs in again, or goes on without.
    private func takeAuthError(_ message: JSON) {
        if let base = message["baseVersion"]?.counterValue, base != version.identity {
            find("an AuthError for identity \(base), when the last Transition was at \(version.identity)", message.text)
        }
        let lost = signIn
        signIn = nil
        if let lost {
            world.identityLosses.noticeEnd(of: lost, heldSince: authenticatedAt)
            world.report(.refusal(IdentityRefusal(client: name, signIn: lost, message: message.text)))
        }
        guard case .open(let connection) = state else { return }
        connection.sendClose()
        closed(reason: "AuthError")
        if random.chance(0.7) { signInAgain() }
    }

    /// Signs in over HTTP, as somebody who still has an account.
    func signInAgain() {
        guard let account = random.pick(world.livingAccounts) else { return }
        Task { [world, self] in
            let signIn = await API(port: world.port).signIn(account)
            world.loop.execute { if let signIn, self.signIn == nil { self.authenticate(signIn) } }
        }
    }
}
