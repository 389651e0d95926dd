import Domain
import NIOCore
import Wire

/// A client that behaves as a stock one does: what it sends when it connects, resends when it reconnects, and expects in between
/// (convex-protocol.md 3). Used on the clients' event loop only.
final class SimulatedClient: @unchecked Sendable {
    // Unchecked: touched on the loop only.

    enum Kind {
        /// One session for its life, journals, and mutations that end with a Transition at their timestamp.
        case javaScript
        /// A new session at every connection, no journals, mutations that end with any Transition. Rust's is the same.
        case python
    }

    /// One query that the client watches.
    struct Subscription {
        let query: Query
        /// Of all subscriptions that are pages of one list.
        let listID: Int?
        var journal: String?
        var memory = PageMemory()
        var shown: Shown?
        /// When this connection asked for it.
        var askedAt: ContinuousClock.Instant
    }

    /// A mutation that has not ended.
    struct Mutation {
        let path: String
        let arguments: JSON
        let effect: Effect
        /// As whom it was sent first.
        let user: UserID?
        /// The connections on which it was sent.
        var connections: [Int] = []
        var answer: (result: JSON, timestamp: LogPosition)?
        /// On the present connection.
        var sentAt = ContinuousClock.now
    }

    enum State {
        case disconnected
        case connecting
        case open(SyncConnection)
    }

    /// What keeps the client from hearing the server, on purpose.
    enum Impairment {
        case none
        /// Reads nothing for a while.
        case slow
        /// Has gone without saying so.
        case halfOpen
    }

    let kind: Kind
    let world: World
    let name: ClientName
    var random: SplitMix64

    private(set) var state = State.disconnected
    private(set) var impairment = Impairment.none
    private var sessionID: String
    private(set) var connectionCount = 0
    private var lastCloseReason: String?
    private var retries = 0
    private(set) var maxObserved = LogPosition.zero
    private var isStopped = false

    var subscriptions: [UInt32: Subscription] = [:]
    private var nextQueryID: UInt32 = 0
    private var nextRequestID: UInt32 = 0
    private(set) var mutations: [UInt32: Mutation] = [:]
    private var actions: [UInt32: @Sendable (SimulatedClient, JSON) -> Void] = [:]

    /// Who it is; nil: nobody.
    var signIn: World.SignIn?

    // Of the present connection.
    private(set) var version = SyncVersion()
    private var querySetVersion: UInt32 = 0
    /// By identity version: what each Authenticate said.
    private var identities: [World.SignIn?] = [nil]
    private var earliest = LogPosition.zero
    private var chunks: [JSON] = []
    private(set) var lastHeard = ContinuousClock.now
    private var openedAt = ContinuousClock.now
    private var authenticatedAt = ContinuousClock.now
    /// Requests sent on this connection and not answered on it.
    private var unanswered: Set<UInt32> = []
    /// Numbers connections, so that what an earlier one still says is not taken for the present one's.
    private var generation = 0

    init(_ kind: Kind, index: Int, world: World, random: SplitMix64) {
        self.kind = kind
        self.world = world
        self.random = random
        sessionID = ""
        name = ClientName(
            name: "\(kind == .javaScript ? "js" : "python")-\(index)", isJavaScript: kind == .javaScript, history: ClientHistory())
        sessionID = self.random.uuid()
    }

    var isOpen: Bool { if case .open = state { true } else { false } }

    var worker: String? { if case .open(let connection) = state { connection.worker } else { nil } }

    // MARK: Connecting

    func start() {
        guard case .disconnected = state, !isStopped else { return }
        state = .connecting
        generation += 1
        let generation = generation
        let handshake: SyncConnection.Handshake = kind == .javaScript ? .javaScript("1.45.0") : .named("python-0.8.1")
        let opening = SyncConnection.open(port: world.port, handshake, on: world.loop) { [weak self] event in
            guard let self, generation == self.generation else { return }
            self.receive(event)
        }
        opening.whenComplete { [weak self] outcome in
            guard let self, generation == self.generation else { return }
            switch outcome {
            case .success(let connection): self.opened(connection)
            case .failure: self.closed(reason: "unknown")
            }
        }
    }

    /// For good.
    func stop() {
        isStopped = true
        generation += 1
        if case .open(let connection) = state { connection.cut() }
        state = .disconnected
    }

    private func opened(_ connection: SyncConnection) {
        guard !isStopped else { return connection.cut() }
        state = .open(connection)
        impairment = .none
        world.statistics.count { $0.connections += 1 }
        name.history.note("connected to \(connection.worker)")
        version = SyncVersion()
        querySetVersion = 0
        identities = [nil]
        chunks = []
        unanswered = []
        earliest = maxObserved
        lastHeard = .now
        openedAt = .now
        if kind == .python { sessionID = random.uuid() }
        var connect: [JSON.Member] = [
            .init(key: "type", value: .string("Connect")), .init(key: "sessionId", value: .string(sessionID)),
            .init(key: "connectionCount", value: .number(Double(connectionCount))),
            .init(key: "lastCloseReason", value: lastCloseReason.map { .string($0) } ?? .null),
            .init(key: "clientTs", value: .number(0)),
        ]
        if maxObserved > .zero { connect.append(.init(key: "maxObservedTimestamp", value: Self.encode(maxObserved))) }
        send(.object(connect))
        connectionCount += 1
        if signIn != nil { authenticate(signIn) }
        for id in subscriptions.keys {
            subscriptions[id]!.shown = nil
            subscriptions[id]!.askedAt = .now
            // Without its journal a page is a new one.
            if kind == .python || subscriptions[id]!.journal == nil {
                subscriptions[id]!.journal = nil
                subscriptions[id]!.memory = PageMemory()
            }
        }
        modify(subscriptions.sorted { $0.key < $1.key }.map { add($0.key, $0.value) })
        for id in mutations.keys.sorted() { sendMutation(id) }
    }

    private func closed(reason: String) {
        switch state {
        case .disconnected: return
        case .connecting, .open: break
        }
        state = .disconnected
        impairment = .none
        generation += 1
        lastCloseReason = reason
        name.history.note("disconnected: \(reason)")
        // Whatever an action was about, nobody will tell.
        actions = [:]
        for id in subscriptions.keys { subscriptions[id]!.shown = nil }
        guard !isStopped else { return }
        let delay = backoff(reason)
        retries += 1
        world.loop.scheduleTask(in: .milliseconds(delay)) { [weak self] in self?.start() }
    }

    /// The first delays by reason are the JavaScript client's; Rust's grows from a tenth of a second.
    private func backoff(_ reason: String) -> Int64 {
        let first = reason == "client" || kind == .python ? 100.0 : 1000
        let longest = world.isQuiet ? 2000.0 : 16_000
        return Int64(min(longest, first * Double(1 << min(retries, 10))) * Double.random(in: 0.5...1.5, using: &random))
    }

    /// Goes away and comes again at once, perhaps to another worker.
    func reconnect(saysGoodBye: Bool) {
        guard case .open(let connection) = state else { return }
        if saysGoodBye { connection.sendClose() }
        connection.cut()
        closed(reason: "client")
    }

    /// Stops listening, for good or for a while.
    func impair(_ impairment: Impairment, for seconds: Double) {
        guard case .open(let connection) = state, self.impairment == .none else { return }
        self.impairment = impairment
        name.history.note("stops reading for \(seconds) s")
        connection.setReads(false)
        let generation = generation
        world.loop.scheduleTask(in: .milliseconds(Int64(seconds * 1000))) { [weak self] in
            guard let self, generation == self.generation, case .open(let connection) = self.state else { return }
            self.impairment = .none
            self.lastHeard = .now
            self.openedAt = .now
            self.name.history.note("listens again")
            if impairment == .halfOpen {
                connection.cut()
                self.closed(reason: "client")
            } else {
                connection.setReads(true)
            }
        }
    }

    // MARK: Saying something

    private func send(_ message: JSON) {
        guard case .open(let connection) = state, impairment != .halfOpen else { return }
        let text = message.text
        if message["type"]?.stringValue != "Authenticate" { name.history.note("> \(text)") }
        connection.send(text)
    }

    private static func encode(_ position: LogPosition) -> JSON {
        .string(String(decoding: Base64.encode(littleEndian: position.rawValue), as: UTF8.self))
    }

    /// Says who it is from now on.
    func authenticate(_ signIn: World.SignIn?) {
        self.signIn = signIn
        guard isOpen else { return }
        let base = JSON.number(Double(identities.count - 1))
        identities.append(signIn)
        authenticatedAt = .now
        name.history.note("> Authenticate as \(signIn.map { "\($0.user) in \($0.session)" } ?? "nobody")")
        if let signIn {
            send(.record(["type": .string("Authenticate"), "baseVersion": base, "tokenType": .string("User"), "value": .string(signIn.token)]))
        } else {
            send(.record(["type": .string("Authenticate"), "baseVersion": base, "tokenType": .string("None")]))
        }
    }

    private func modify(_ modifications: [JSON]) {
        let base = querySetVersion
        querySetVersion += 1
        send(
            .record([
                "type": .string("ModifyQuerySet"), "baseVersion": .number(Double(base)), "newVersion": .number(Double(base + 1)),
                "modifications": .array(modifications),
            ]))
    }

    private func add(_ id: UInt32, _ subscription: Subscription) -> JSON {
        .record([
            "type": .string("Add"), "queryId": .number(Double(id)),
            "udfPath": .string(kind == .python && connectionCount > 1 ? pathInFile(subscription.query.path) : subscription.query.path),
            "args": .array([subscription.query.arguments]), "journal": subscription.journal.map { .string($0) } ?? .null,
        ])
    }

    /// As Rust's client writes paths when it has reconnected.
    private func pathInFile(_ path: String) -> String {
        path.split(separator: ":").joined(separator: ".js:")
    }

    @discardableResult
    func subscribe(_ queries: [(query: Query, listID: Int?)]) -> [UInt32] {
        var ids: [UInt32] = []
        var modifications: [JSON] = []
        for (query, listID) in queries where !subscriptions.values.contains(where: { $0.query == query }) {
            let subscription = Subscription(query: query, listID: listID, askedAt: .now)
            let id = nextQueryID
            nextQueryID += 1
            subscriptions[id] = subscription
            ids.append(id)
            modifications.append(add(id, subscription))
        }
        if isOpen, !ids.isEmpty { modify(modifications) }
        return ids
    }

    func unsubscribe(_ ids: some Sequence<UInt32>) {
        let ids = ids.filter { subscriptions[$0] != nil }
        for id in ids { subscriptions[id] = nil }
        guard isOpen, !ids.isEmpty else { return }
        modify(ids.map { .record(["type": .string("Remove"), "queryId": .number(Double($0))]) })
    }

    func mutate(_ path: String, _ arguments: JSON, _ effect: Effect) {
        let id = nextRequestID
        nextRequestID += 1
        mutations[id] = Mutation(path: path, arguments: arguments, effect: effect, user: signIn?.user)
        if isOpen { sendMutation(id) }
    }

    private func sendMutation(_ id: UInt32) {
        guard let mutation = mutations[id] else { return }
        mutations[id]!.connections.append(generation)
        mutations[id]!.sentAt = .now
        unanswered.insert(id)
        send(
            .record([
                "type": .string("Mutation"), "requestId": .number(Double(id)), "udfPath": .string(mutation.path),
                "args": .array([mutation.arguments]),
            ]))
    }

    /// - Parameter completion: gets the ActionResponse, unless the connection is lost first.
    func act(_ path: String, _ arguments: JSON, _ completion: @escaping @Sendable (SimulatedClient, JSON) -> Void) {
        guard isOpen else { return }
        let id = nextRequestID
        nextRequestID += 1
        actions[id] = completion
        send(
            .record([
                "type": .string("Action"), "requestId": .number(Double(id)), "udfPath": .string(path), "args": .array([arguments]),
            ]))
    }

    // MARK: Hearing something

    private func receive(_ event: SyncConnection.Event) {
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

    func find(_ problem: String, _ message: String) {
        world.findings.add(Finding(client: name.name, problem: problem, message: message, history: name.history.list))
    }

    // MARK: Waiting

    var isComplete: Bool { isOpen && subscriptions.values.allSatisfy { $0.shown != nil } && mutations.isEmpty }

    var whatIsMissing: String {
        guard isOpen else { return "not connected" }
        let queries = subscriptions.filter { $0.value.shown == nil }.map { "query \($0.key) has no result" }
        let requests = mutations.map { id, mutation in
            "mutation \(id) has \(mutation.answer == nil ? "no answer" : "no Transition at or past its ts")"
        }
        return (queries + requests).joined(separator: ", ")
    }

    func hasListened(for duration: Duration) -> Bool {
        isOpen && impairment == .none && openedAt + duration <= .now
    }

    func findForgotten(after duration: Duration) {
        guard hasListened(for: duration) else { return }
        let limit = ContinuousClock.now - duration
        if lastHeard < limit { return find("nothing was heard from \(worker ?? "?") for \(duration), not even a Ping", "none") }
        for (id, subscription) in subscriptions where subscription.shown == nil && subscription.askedAt < limit {
            return find("query \(id) has had no result for \(duration)", "none")
        }
        for (id, mutation) in mutations where mutation.sentAt < limit {
            return find("mutation \(id) has waited for \(duration): \(mutation.answer == nil ? "no answer" : "no Transition")", "none")
        }
    }

    func stopImpairment() {
        guard impairment == .slow, case .open(let connection) = state else { return }
        impairment = .none
        connection.setReads(true)
    }
}
