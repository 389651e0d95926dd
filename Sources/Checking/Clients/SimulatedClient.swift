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

    var state = State.disconnected
    var impairment = Impairment.none
    var sessionID: String
    var connectionCount = 0
    var lastCloseReason: String?
    var retries = 0
    var maxObserved = LogPosition.zero
    var isStopped = false

    var subscriptions: [UInt32: Subscription] = [:]
    var nextQueryID: UInt32 = 0
    var nextRequestID: UInt32 = 0
    var mutations: [UInt32: Mutation] = [:]
    var actions: [UInt32: @Sendable (SimulatedClient, JSON) -> Void] = [:]

    /// Who it is; nil: nobody.
    var signIn: World.SignIn?

    // Of the present connection.
    var version = SyncVersion()
    var querySetVersion: UInt32 = 0
    /// By identity version: what each Authenticate said.
    var identities: [World.SignIn?] = [nil]
    /// `maxObservedTimestamp`, as it was sent: no Transition may be before it.
    var earliest = LogPosition.zero
    var chunks: [JSON] = []
    var lastHeard = ContinuousClock.now
    var openedAt = ContinuousClock.now
    var authenticatedAt = ContinuousClock.now
    /// Requests sent on this connection and not answered on it.
    var unanswered: Set<UInt32> = []
    /// Numbers connections, so that what an earlier one still says is not taken for the present one's.
    var generation = 0

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

    func closed(reason: String) {
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
        let sends = mutations[id]!.connections.count
        if sends > 1 { world.report(.repetition(name, mutation.effect, sends: sends)) }
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

    func find(_ problem: String, _ message: String) {
        world.findings.add(Finding(client: name.name, problem: problem, message: message, history: name.history.list))
    }
}
