import Accounts
import Domain
import Feed
import Logging
import Metrics
import Postgres
import Registry
import Store
import Wire

/// The live queries of one worker, and the sockets that watch them.
///
/// All that clients are shown comes from ticks (see `Tick.swift`): one snapshot, one timestamp. Between ticks this actor
/// only notes what has changed: commits, from the feed, and what clients watch, from their sockets (`SyncSession+Messages`).
public actor LiveQueries {
    public struct Configuration: Sendable {
        /// Mutations that one socket may have waiting (convex-protocol.md, limits of the real service).
        public var maximumMutationsPerSocket = 1000
        /// Mutations that all sockets together may have waiting.
        public var maximumMutations = 20_000
        /// Actions that one socket may have under way.
        public var maximumActionsPerSocket = 1000
        /// Queries that one socket may watch.
        public var maximumQueriesPerSocket = 4096
        /// Distinct queries that all sockets together may watch.
        public var maximumQueries = 200_000
        /// How many queries run at once in a tick.
        public var concurrentRuns = 64
        /// Run every query at every tick, and report those that changed without a topic of theirs having been touched. For
        /// tests: it finds queries that do not say what they depend on.
        public var missedInvalidation: (@Sendable (FunctionPath) -> Void)?

        public init() {}
    }

    enum FeedState {
        /// Commits are delivered.
        case connected
        /// Nothing is known until the feed is connected or says that it is time to poll. Clients keep what they have.
        case connecting
        /// Nobody tells what changes. Snapshots are looked at when the feed says so.
        case polling
    }

    let configuration: Configuration
    let runner: FunctionRunner
    let accounts: Accounts
    /// Shared with the functions.
    let database: PostgresClient
    /// For ticks alone, so that they never wait for a connection.
    let tickDatabase: PostgresClient
    let feed: any ChangeFeed
    let logger: Logger

    var feedState = FeedState.connecting {
        didSet { feedGauge.record(feedState == .connected ? 1 : 0) }
    }
    /// Counts how often the feed was connected or lost. What was begun under another number may have missed commits.
    var feedEpoch: UInt64 = 0
    /// Every commit up to here has been delivered.
    var feedPosition = LogPosition.zero
    /// Commits that no tick has answered for yet, in commit order.
    var pendingCommits: [Commit] = []
    /// Anything may have changed: the next tick runs everything.
    var everythingIsDirty = true
    /// Who waits for the feed to come this far; only a tick does.
    var feedWaiter: (position: LogPosition, since: ContinuousClock.Instant, continuation: CheckedContinuation<Bool, Never>)?
    /// Whether somebody sees to it that the log is flushed while ticks wait for the feed.
    private var isFlushing = false

    var sessions: [ObjectIdentifier: SyncSession] = [:]
    /// Mutations of all sockets that were received and not answered yet.
    var pendingMutations = 0
    /// Those to whom a Transition is due that could not be sent yet.
    var waiting: [ObjectIdentifier: SyncSession] = [:]
    /// The signed-in ones, by who they are.
    var sessionsByUser = SessionIndex<UserID>()
    /// The connected ones, by the id that they gave themselves. There can be two: the old socket of a client that has come back.
    var sessionsByClient = SessionIndex<UUIDBits>()
    var queries: [LiveQuery.Key: LiveQuery] = [:]
    /// Queries that have to run although no new commit touches them: new ones, and those whose tick failed.
    var dirty: [ObjectIdentifier: LiveQuery] = [:]
    var topicIndex: [Topic: [ObjectIdentifier: LiveQuery]] = [:]

    /// How many ticks have begun.
    var begunTicks: UInt64 = 0
    /// The last tick that ended well, and the moment it answered for.
    var lastTick: UInt64 = 0
    var timestamp = LogPosition.zero
    /// Where recent socket mutations were committed, whichever worker ran them, so that a repeat is told the original place.
    var recentRequests = RecentRequests(capacity: 65_536)

    /// How long to wait before looking again whether a commit that is decoded has become visible.
    var hiddenDelay = Duration.milliseconds(1)
    /// When the next tick comes by itself, if nobody asks for one earlier.
    private var scheduledTick: ContinuousClock.Instant?
    private let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation

    let ticks = Metrics.Timer(label: "attune_tick_duration")
    let repeatedTicks = Counter(label: "attune_ticks_repeated_total")
    let executions = Counter(label: "attune_live_query_runs_total")
    let transitions = Counter(label: "attune_transitions_total")
    let socketGauge = Gauge(label: "attune_sockets")
    let queryGauge = Gauge(label: "attune_live_queries")
    private let feedGauge = Gauge(label: "attune_feed_connected")

    public init(
        configuration: Configuration = Configuration(), runner: FunctionRunner, accounts: Accounts, database: PostgresClient,
        tickDatabase: PostgresClient, feed: any ChangeFeed, logger: Logger
    ) {
        self.configuration = configuration
        self.runner = runner
        self.accounts = accounts
        self.database = database
        self.tickDatabase = tickDatabase
        self.feed = feed
        self.logger = logger
        (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Follows the feed and ticks until the task is cancelled.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [feed] in
                await feed.run { await self.receive($0) }
                // A cancelled feed delivers nothing more; a tick that waits for it would wait for ever.
                await self.receive(.disconnected)
            }
            group.addTask { await self.tickForever() }
        }
    }

    private func tickForever() async {
        for await _ in wakeUps { await tick() }
    }

    /// Asks for a tick. Any number of calls before it begins are one.
    func requestTick() {
        wakeUp.yield()
    }

    /// Asks for a tick later on, or when an earlier one is due: each tick asks again for what it could not do.
    func requestTick(after delay: Duration) {
        let time = ContinuousClock.now + delay
        if let scheduledTick, scheduledTick <= time { return }
        scheduledTick = time
        // Not in a group: it ends by itself, and a wake-up too many does no harm.
        Task {
            try? await Task.sleep(until: time)
            if scheduledTick == time { scheduledTick = nil }
            requestTick()
        }
    }

    // MARK: The feed

    private func receive(_ event: FeedEvent) {
        switch event {
        case .connected:
            feedState = .connected
            accounts.sessions.feedIsCurrent(true)
            forgetFeed()
        case .commits(let commits, let position):
            guard feedState == .connected else { return }
            feedPosition = max(feedPosition, position)
            for commit in commits {
                tellSessionDirectory(commit)
                for request in commit.requests { noteCommit(of: request, at: commit.position) }
            }
            pendingCommits.append(contentsOf: commits)
            if let waiter = feedWaiter, feedPosition >= waiter.position {
                feedWaiter = nil
                waiter.continuation.resume(returning: true)
            }
            guard !commits.isEmpty else { return }
            // While nobody watches, a tick now and then clears the commits away, and tells the session directory.
            if sessions.isEmpty { requestTick(after: .milliseconds(50)) } else { requestTick() }
        case .disconnected:
            feedState = .connecting
            accounts.sessions.feedIsCurrent(false)
            forgetFeed()
        case .poll:
            guard feedState != .connected else { return }
            if feedState != .polling { logger.notice("looking at snapshots until the change feed is connected") }
            feedState = .polling
            everythingIsDirty = true
            if !sessions.isEmpty { requestTick() }
        }
    }

    /// Commits may have been missed: what was heard before is worth nothing now.
    private func forgetFeed() {
        feedEpoch += 1
        feedPosition = .zero
        pendingCommits = []
        everythingIsDirty = true
        if let waiter = feedWaiter {
            feedWaiter = nil
            waiter.continuation.resume(returning: false)
        }
        // Who waits to hear where a mutation was committed asks the database instead.
        for session in sessions.values { session.releaseWaiters(isAnswered: false) }
        requestTick()
    }

    /// What HTTP requests are checked against. A commit can be delivered before snapshots see it, and a look-up at that
    /// moment would bring the old state back, so ticks call this again when it is seen.
    func tellSessionDirectory(_ commit: Commit) {
        var ended: [SessionID] = []
        var changed: [UserID] = []
        for topic in commit.topics {
            switch (topic.table, topic.key) {
            case (.sessions, .id): ended.append(SessionID(topic.value))
            case (.users, .id): changed.append(UserID(topic.value))
            default: break
            }
        }
        if !ended.isEmpty { accounts.sessions.sessionsChanged(ended) }
        accounts.sessions.usersChanged(changed)
        if !commit.wholeTables.isDisjoint(with: [.sessions, .users]) { accounts.sessions.everythingChanged() }
    }

    /// Waits until the feed has delivered every commit up to `position`; false if it was lost since `epoch`.
    func feedReached(_ position: LogPosition, epoch: UInt64) async -> Bool {
        guard feedEpoch == epoch else { return false }
        if feedPosition >= position { return true }
        flushLogWhileTicksWait()
        return await withCheckedContinuation { feedWaiter = (position, .now, $0) }
    }

    /// The feed reads the log up to where it is flushed, and records of transactions in progress may wait for that a while.
    /// When a tick has waited for some milliseconds, a small commit of our own sees to it.
    private func flushLogWhileTicksWait() {
        guard !isFlushing else { return }
        isFlushing = true
        // Not in a group: it ends soon after the last tick that has waited. One timer for many ticks, since timers are dear.
        Task {
            var pause = Self.flushPatience
            var idleTurns = 0
            while idleTurns < 20 {
                try? await Task.sleep(for: pause)
                pause = Self.flushPatience
                guard let feedWaiter else {
                    idleTurns += 1
                    continue
                }
                idleTurns = 0
                guard ContinuousClock.now - feedWaiter.since >= Self.flushPatience else { continue }
                do { _ = try await database.write(Self.flush()) } catch { logger.debug("cannot flush the log: \(error)") }
                // The feed should be here in a moment.
                pause = .milliseconds(50)
            }
            isFlushing = false
        }
    }

    private static let flushPatience = Duration.milliseconds(5)

    /// A commit that says nothing, for which everything before it goes to the disk; it waits for no standby.
    static let flush = Statement(
        "feed.flush",
        "SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'attune.flush', '')")

    // MARK: What is watched

    /// The query that `request` asks for as `caller`, shared with all who ask the same.
    func liveQuery(for request: QueryRequest, caller: Caller, journal: String?) throws(FunctionFailure) -> LiveQuery {
        let requestID = RequestID.random()
        let function = try runner.find(request.path, as: .query, requestID: requestID)
        let arguments = try runner.decodeArguments(request.arguments, of: function, requestID: requestID)
        let key = LiveQuery.Key(
            path: function.path, arguments: JSONWriter.bytes { arguments.encode(into: &$0) }, user: caller.principal?.userID,
            role: caller.principal?.role, journal: journal)
        if let query = queries[key] { return query }
        let query = LiveQuery(key: key, function: function, arguments: arguments, caller: caller, createdIn: begunTicks)
        queries[key] = query
        dirty[ObjectIdentifier(query)] = query
        queryGauge.record(queries.count)
        return query
    }

    func addWatcher(_ session: SyncSession, to query: LiveQuery) {
        query.watchers.insert(session)
    }

    /// Takes a session off a query that none of its subscriptions watches any more; a query without watchers is forgotten.
    func removeWatcher(_ session: SyncSession, from query: LiveQuery) {
        guard !session.subscriptions.values.contains(where: { $0.query === query }) else { return }
        query.watchers.remove(session)
        if query.watchers.isEmpty { forget(query) }
    }

    func forget(_ query: LiveQuery) {
        if queries[query.key] === query { queries[query.key] = nil }
        dirty[ObjectIdentifier(query)] = nil
        setTopics([], of: query)
        queryGauge.record(queries.count)
    }

    func setTopics(_ topics: Set<Topic>, of query: LiveQuery) {
        guard topics != query.topics else { return }
        let id = ObjectIdentifier(query)
        for topic in query.topics.subtracting(topics) {
            topicIndex[topic]?[id] = nil
            if topicIndex[topic]?.isEmpty == true { topicIndex[topic] = nil }
        }
        for topic in topics.subtracting(query.topics) { topicIndex[topic, default: [:]][id] = query }
        query.topics = topics
    }

    // MARK: Status

    public struct Status: Sendable {
        /// `connected`, `connecting` or `polling`.
        public let feed: String
        public let sockets: Int
        public let queries: Int
        public let timestamp: LogPosition
    }

    public var status: Status {
        let feed = switch feedState {
        case .connected: "connected"
        case .connecting: "connecting"
        case .polling: "polling"
        }
        return Status(feed: feed, sockets: sessions.count, queries: queries.count, timestamp: timestamp)
    }
}

/// Where recent socket requests were committed; the oldest are forgotten.
struct RecentRequests {
    private var positions: [MutationRequest: LogPosition] = [:]
    private var order: [MutationRequest] = []
    private var oldest = 0
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
    }

    subscript(_ request: MutationRequest) -> LogPosition? { positions[request] }

    /// Does nothing if a position is known: clients may have been told.
    mutating func insert(_ request: MutationRequest, at position: LogPosition) {
        guard positions[request] == nil else { return }
        positions[request] = position
        if order.count < capacity {
            order.append(request)
        } else {
            positions[order[oldest]] = nil
            order[oldest] = request
            oldest = (oldest + 1) % capacity
        }
    }
}
