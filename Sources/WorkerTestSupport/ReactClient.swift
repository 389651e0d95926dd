import Foundation
import Wire

/// A page that uses `convex/react`, as the server and its components see it (convex-protocol.md 3.4 to 3.10, 4.2 and 6.4).
///
/// It keeps one session over any number of connections. What a component would have rendered, step by step, is in the
/// `renderings` of what it uses. Nothing happens behind a test's back: messages are taken one by one while the test waits, so that
/// it can act, or cut the connection, between any two of them. A closed connection is replaced when the test waits again.
///
/// Tests use each query once: the stock client's counting of equal subscriptions is left out.
public final class ReactClient {
    /// Where the next connection goes, as a proxy would choose.
    public var worker: TestWorker
    private let sessionID = UUID().uuidString.lowercased()
    private var socket: SyncClient?
    private var connectionCount = 0
    private var messagesTaken = 0
    private var transitionsTaken = 0
    /// The largest timestamp in any Transition or MutationResponse.
    public private(set) var maxObservedTimestamp: UInt64 = 0

    private var subscriptions: [UInt32: Subscription] = [:]
    private var nextQuery: UInt32 = 0
    /// What this connection has delivered.
    private var remoteResults: [UInt32: QueryOutcome] = [:]
    /// What components see: the results at the last step, with the optimistic updates of that moment.
    private var localResults: [UInt32: QueryOutcome] = [:]
    private var components: [any Component] = []

    /// Those whose promises are open, in the order in which they were made.
    private var requests: [Request] = []
    private var nextRequest: UInt32 = 0

    private var tokens: Tokens?
    private var confirmation = Confirmation.settled
    /// How many `Authenticate`s this connection has had.
    private var identity: UInt32 = 0
    private var refusedFreshTokens = 0
    /// What `useConvexAuth().isAuthenticated` says.
    public private(set) var isAuthenticated = false
    /// The server has shown that it knows the newest token.
    public var tokenIsConfirmed: Bool { tokens != nil && confirmation == .settled }
    /// How often a new token was fetched.
    public private(set) var refreshCount = 0

    private struct Subscription {
        let path: String
        let arguments: JSON
        var journal: String?
    }

    /// What Convex Auth keeps in `localStorage`.
    private struct Tokens {
        let token: String
        let refreshToken: String
    }

    /// Which token a Transition has yet to confirm.
    private enum Confirmation {
        case settled, ofCachedToken, ofFreshToken
    }

    /// Loads the page: connects with what the user's last visit has left, if there was one.
    ///
    /// - Parameter cachedToken: that was left instead of the user's good one.
    public init(_ worker: TestWorker, as user: TestUser? = nil, cachedToken: String? = nil) async throws {
        self.worker = worker
        if let user {
            tokens = Tokens(token: cachedToken ?? user.token, refreshToken: user.refreshToken)
            confirmation = .ofCachedToken
        }
        try await connect()
    }

    /// Waits until a state is rendered, or a promise kept, for which the condition holds.
    public func wait(for what: String, _ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !condition() {
            guard ContinuousClock.now < deadline else { throw InVain(what: what) }
            guard let socket else {
                try await connect()
                continue
            }
            let state = socket.state
            let taken = messagesTaken
            if taken < state.messages.count {
                messagesTaken += 1
                try await take(state.messages[taken], state)
            } else if state.isClosed {
                self.socket = nil
            } else {
                try await socket.wait(for: what) { $0.messages.count > taken || $0.isClosed ? true : nil }
            }
        }
    }

    /// What a test waited for did not come.
    public struct InVain: Error, CustomStringConvertible {
        let what: String
        public var description: String { "the page waited a minute in vain for \(what)" }
    }

    // MARK: Connecting

    /// Loses the connection, and whatever has come over it and was not taken. The next wait makes a new one.
    public func cut() {
        socket?.cut()
        socket = nil
    }

    private func connect() async throws {
        let socket = try await worker.openSocket()
        self.socket = socket
        (messagesTaken, transitionsTaken, identity) = (0, 0, 0)
        remoteResults = [:]
        // Nobody knows what has become of an action.
        for request in requests where request.isAction && request.wasSent {
            settle(request, .failure(RequestFailure(message: "Connection lost while action was in flight", data: nil)))
        }
        socket.together {
            socket.connect(
                sessionID: sessionID, connectionCount: connectionCount, maxObserved: maxObservedTimestamp > 0 ? maxObservedTimestamp : nil)
            if let tokens { authenticate(tokens.token) }
            socket.modify(
                subscriptions.sorted { $0.key < $1.key }.map { id, subscription in
                    SyncClient.add(id, subscription.path, subscription.arguments, journal: subscription.journal)
                })
            for request in requests { send(request) }
        }
        connectionCount += 1
    }

    // MARK: Components

    /// A component that shows one query: `useQuery`.
    public func useQuery(_ path: String, _ arguments: JSON = [:]) -> ReactQuery {
        let query = ReactQuery(subscribe(path, arguments))
        components.append(query)
        render()
        return query
    }

    /// A component that shows a list page by page: `usePaginatedQuery`.
    public func usePaginatedQuery(_ path: String, _ arguments: JSON, initialNumItems: Int) -> ReactPaginatedQuery {
        let list = ReactPaginatedQuery(path, arguments, initialNumItems: initialNumItems, client: self)
        components.append(list)
        render()
        return list
    }

    /// Every component looks at the results, as React has it do after each change of them.
    func render() {
        for component in components { component.render(self) }
    }

    /// Nil while it is loading.
    func outcome(of query: UInt32) -> QueryOutcome? { localResults[query] }

    func subscribe(_ path: String, _ arguments: JSON) -> UInt32 {
        let id = nextQuery
        nextQuery += 1
        subscriptions[id] = Subscription(path: path, arguments: arguments)
        socket?.modify([SyncClient.add(id, path, arguments)])
        return id
    }

    func unsubscribe(_ id: UInt32) {
        subscriptions[id] = nil
        remoteResults[id] = nil
        localResults[id] = nil
        socket?.remove(id)
    }

    // MARK: Requests

    /// Calls a mutation, and shows at once what it is expected to do.
    public func mutate(
        _ path: String, _ arguments: JSON, optimisticUpdate: @escaping (inout OptimisticStore) -> Void = { _ in }
    ) -> Request {
        let request = makeRequest(isAction: false, path, arguments, optimisticUpdate)
        var store = OptimisticStore(results: localResults, of: subscriptions.mapValues { ($0.path, $0.arguments) })
        optimisticUpdate(&store)
        localResults = store.results
        render()
        return request
    }

    public func act(_ path: String, _ arguments: JSON = [:]) -> Request {
        makeRequest(isAction: true, path, arguments) { _ in }
    }

    /// A mutation or an action, and the promise of its result.
    public final class Request {
        let id: UInt32
        let isAction: Bool
        let path: String
        let arguments: JSON
        let optimisticUpdate: (inout OptimisticStore) -> Void
        fileprivate(set) var wasSent = false
        fileprivate var response: (result: JSON, timestamp: UInt64)?
        /// What the promise came to. A mutation's is kept only when a Transition shows its effect.
        public fileprivate(set) var outcome: Result<JSON, RequestFailure>?

        init(
            id: UInt32, isAction: Bool, _ path: String, _ arguments: JSON, _ optimisticUpdate: @escaping (inout OptimisticStore) -> Void
        ) {
            (self.id, self.isAction, self.path, self.arguments) = (id, isAction, path, arguments)
            self.optimisticUpdate = optimisticUpdate
        }

        /// The server has said how it went.
        public var isAnswered: Bool { response != nil || outcome != nil }
        public var succeeded: Bool { if case .success = outcome { true } else { false } }
        public var failed: Bool { if case .failure = outcome { true } else { false } }
    }

    public struct RequestFailure: Error {
        public let message: String
        public let data: JSON?
    }

    private func makeRequest(
        isAction: Bool, _ path: String, _ arguments: JSON, _ optimisticUpdate: @escaping (inout OptimisticStore) -> Void
    ) -> Request {
        let request = Request(id: nextRequest, isAction: isAction, path, arguments, optimisticUpdate)
        nextRequest += 1
        requests.append(request)
        send(request)
        return request
    }

    private func send(_ request: Request) {
        guard let socket else { return }
        if request.isAction {
            socket.act(request.path, request.arguments, requestID: request.id)
        } else {
            socket.mutate(request.path, request.arguments, requestID: request.id, isRepeat: request.wasSent)
        }
        request.wasSent = true
    }

    private func settle(_ request: Request, _ outcome: Result<JSON, RequestFailure>) {
        requests.removeAll { $0 === request }
        request.outcome = outcome
    }

    // MARK: Messages

    private func take(_ message: JSON, _ state: SyncClient.State) async throws {
        switch message["type"]?.stringValue {
        case "Transition":
            try await takeTransition(of: state)
        case "TransitionChunk":
            guard let part = message["partNumber"]?.counterValue, message["totalParts"]?.counterValue == part + 1 else { return }
            try await takeTransition(of: state)
        case "MutationResponse", "ActionResponse":
            takeResponse(message)
        case "AuthError":
            try await takeAuthError(message)
        default:
            break
        }
    }

    private func takeTransition(of state: SyncClient.State) async throws {
        let transition = state.transitions[transitionsTaken]
        transitionsTaken += 1
        // SyncClient has reported those that make no sense.
        guard let start = SyncClient.Version(transition["startVersion"]), let end = SyncClient.Version(transition["endVersion"]),
            let modifications = transition["modifications"]?.arrayValue
        else { return }
        maxObservedTimestamp = max(maxObservedTimestamp, end.timestamp)
        for modification in modifications {
            // A result can cross the query's removal.
            guard let id = modification["queryId"]?.counterValue, subscriptions[id] != nil else { continue }
            remoteResults[id] = QueryOutcome(modification)
            if let journal = modification["journal"]?.stringValue { subscriptions[id]?.journal = journal }
        }
        // In one step: promises are kept, their optimistic updates end, and components see the results.
        for request in requests {
            guard let response = request.response, response.timestamp <= end.timestamp else { continue }
            settle(request, .success(response.result))
        }
        recompute()
        if end.identity > start.identity, end.identity >= identity { try await confirmToken() }
    }

    private func takeResponse(_ message: JSON) {
        // Answered ones are asked for again after a reconnect; the second answer says nothing new.
        guard let request = requests.first(where: { $0.id == message["requestId"]?.counterValue }), request.response == nil else { return }
        let result = message["result"] ?? .null
        guard message["success"] == true else {
            settle(request, .failure(RequestFailure(message: result.stringValue ?? "", data: message["errorData"])))
            return recompute()
        }
        guard !request.isAction else { return settle(request, .success(result)) }
        let timestamp = message["ts"]?.stringValue.flatMap { Base64.decode(littleEndian: $0) } ?? 0
        maxObservedTimestamp = max(maxObservedTimestamp, timestamp)
        request.response = (result, timestamp)
    }

    /// The server's results, with the optimistic updates that are left on top, in their order.
    private func recompute() {
        var store = OptimisticStore(results: remoteResults, of: subscriptions.mapValues { ($0.path, $0.arguments) })
        for request in requests { request.optimisticUpdate(&store) }
        localResults = store.results
        render()
    }

    // MARK: Identity

    /// Signs in with tokens that an earlier page has left: `setAuth`.
    public func signIn(as user: TestUser) {
        tokens = Tokens(token: user.token, refreshToken: user.refreshToken)
        confirmation = .ofCachedToken
        authenticate(user.token)
    }

    /// Convex Auth's `signOut`: whatever the server answers, the tokens are erased, and the page is nobody's.
    public func signOut() async throws {
        let request = act("auth:signOut")
        try await wait(for: "the answer to signOut") { request.outcome != nil }
        becomeNobody()
        authenticate(nil)
    }

    private func authenticate(_ token: String?) {
        guard let socket else { return }
        socket.authenticate(token)
        identity += 1
    }

    /// A cached token that was good is replaced at once; so every page load signs in twice.
    private func confirmToken() async throws {
        guard tokens != nil else { return }
        let confirmed = confirmation
        confirmation = .settled
        refusedFreshTokens = 0
        isAuthenticated = true
        guard confirmed == .ofCachedToken else { return }
        try await refreshTokens()
        authenticate(tokens?.token)
    }

    private func takeAuthError(_ message: JSON) async throws {
        let wasAsked = message["authUpdateAttempted"]?.boolValue ?? false
        if !wasAsked, confirmation != .settled { return }
        if let base = message["baseVersion"]?.counterValue, base + 1 < identity { return }
        guard tokens != nil else { return becomeNobody() }
        if confirmation == .ofFreshToken { refusedFreshTokens += 1 }
        cut()
        if refusedFreshTokens < 3 { try await refreshTokens() } else { becomeNobody() }
    }

    /// Fetches new tokens, over HTTP and as nobody; without any the session is over.
    private func refreshTokens() async throws {
        guard let refreshToken = tokens?.refreshToken else { return }
        refreshCount += 1
        let answer = try await worker.call(.action, "auth:signIn", ["refreshToken": .string(refreshToken)])
        guard answer.status == 200, let new = answer.value?["tokens"] else { throw RefreshFailed(answer: answer.text) }
        guard let token = new["token"]?.stringValue, let refreshToken = new["refreshToken"]?.stringValue else { return becomeNobody() }
        tokens = Tokens(token: token, refreshToken: refreshToken)
        confirmation = .ofFreshToken
    }

    /// A stock page hangs after this (convex-protocol.md 4.2 item 7).
    public struct RefreshFailed: Error {
        let answer: String
    }

    private func becomeNobody() {
        tokens = nil
        confirmation = .settled
        isAuthenticated = false
    }
}

/// What a query has come to.
enum QueryOutcome: Equatable {
    case value(JSON)
    case failure(message: String, data: JSON?)

    /// Nil for a removal.
    init?(_ modification: JSON) {
        switch modification["type"]?.stringValue {
        case "QueryUpdated": self = .value(modification["value"] ?? .null)
        case "QueryFailed": self = .failure(message: modification["errorMessage"]?.stringValue ?? "", data: modification["errorData"])
        default: return nil
        }
    }
}

/// What a component does when results have changed.
protocol Component: AnyObject {
    func render(_ client: ReactClient)
}

/// What `useQuery` returns.
public final class ReactQuery: Component {
    /// What the component showed, each differing from the one before; nil while loading.
    public private(set) var renderings: [JSON?] = []
    /// `code` of the ApiError that the component throws.
    public private(set) var errorCode: String?
    private let query: UInt32

    fileprivate init(_ query: UInt32) {
        self.query = query
    }

    public var value: JSON? { renderings.last ?? nil }

    func render(_ client: ReactClient) {
        var value: JSON?
        errorCode = nil
        switch client.outcome(of: query) {
        case .value(let current): value = current
        case .failure(_, let data): errorCode = data?["code"]?.stringValue
        case nil: break
        }
        if renderings.isEmpty || renderings.last != value { renderings.append(value) }
    }
}

/// What an optimistic update changes: the results that have loaded.
public struct OptimisticStore {
    fileprivate var results: [UInt32: QueryOutcome]
    private let queries: [UInt32: (path: String, arguments: JSON)]

    fileprivate init(results: [UInt32: QueryOutcome], of queries: [UInt32: (path: String, arguments: JSON)]) {
        self.results = results
        self.queries = queries
    }

    /// Puts an element before the first one of a list: `insertAtTop`.
    public mutating func insertAtTop(of path: String, _ element: JSON) {
        for (id, query) in queries where query.path == path && query.arguments["paginationOpts"]?["cursor"] == .null {
            guard case .value(let value) = results[id], let page = value["page"]?.arrayValue else { continue }
            results[id] = .value(value.setting("page", to: .array([element] + page)))
        }
    }
}
