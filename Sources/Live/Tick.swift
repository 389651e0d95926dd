import Accounts
import Domain
import Feed
import Metrics
import Postgres
import Registry
import Store
import Wire

// One tick = one snapshot = one timestamp. docs/live-queries.md has the argument why this is right.

extension LiveQueries {
    /// What happened to an attempt to tick.
    private enum TickOutcome {
        case done
        /// Another snapshot is needed: this one sees a later commit and not an earlier one, or the feed was lost.
        case again
    }

    /// Answers for all commits and all wishes that have come since the last tick.
    func tick() async {
        let started = ContinuousClock.now
        var attempts = 0
        var broken: Set<ObjectIdentifier> = []
        while !Task.isCancelled {
            guard hasWork else { return }
            begunTicks += 1
            do {
                attempts += 1
                switch try await attemptTick(broken: &broken) {
                case .done:
                    let (seconds, attoseconds) = (ContinuousClock.now - started).components
                    ticks.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
                    return
                case .again:
                    repeatedTicks.increment()
                    if attempts == Self.suspiciousAttempts {
                        logger.warning("live queries wait for a commit that is in the log and not visible; is a standby away?")
                    }
                    // Mostly it is a matter of microseconds.
                    if attempts > 1 { try await Task.sleep(for: min(.microseconds(100 * attempts * attempts), .milliseconds(50))) }
                }
            } catch {
                guard !Task.isCancelled else { return }
                logger.warning("a tick failed; trying again", metadata: ["error": "\(error)"])
                requestTick(after: .milliseconds(Int64.random(in: 20...100)))
                return
            }
        }
    }

    /// After so many attempts, about a second, it is said that something is odd.
    private static let suspiciousAttempts = 40

    private var hasWork: Bool {
        feedState != .connecting && (everythingIsDirty || !pendingCommits.isEmpty || !dirty.isEmpty || !waiting.isEmpty)
    }

    /// - Parameter broken: queries that ended an earlier attempt's transaction; they fail without being run.
    private func attemptTick(broken: inout Set<ObjectIdentifier>) async throws -> TickOutcome {
        let number = begunTicks
        let isExact = feedState == .connected
        let epoch = feedEpoch
        let runsEverything = everythingIsDirty || !isExact
        // Queries asked for after this wait for the next tick: their clients may know of commits that this snapshot lacks.
        var toRun = dirty
        var answered: [Commit] = []
        var tickTimestamp = timestamp
        var brokenNow = broken
        var runs: [ObjectIdentifier: FunctionRunner.QueryRun] = [:]

        var outcome = TickOutcome.again
        do {
            outcome = try await tickDatabase.withTransaction(.snapshot) { transaction in
                let moment = try await Moment.current(in: transaction)
                if isExact {
                    // Between the feed's word and ours the feed may have been lost, and the commits forgotten.
                    guard await feedReached(moment.position, epoch: epoch), feedEpoch == epoch else { return .again }
                } else {
                    // What the log has in memory only is gone after a crash, and its positions are given out again.
                    _ = try await database.write(Self.flush())
                }
                let seen = pendingCommits.filter { moment.visibility.sees($0.transactionID) }
                let firstUnseen = pendingCommits.first { !moment.visibility.sees($0.transactionID) }
                // It sees a commit and not the one before, or not one that polling has been past: there is no timestamp for that.
                if let firstUnseen, firstUnseen.position <= max(timestamp, seen.last?.position ?? .zero) { return .again }
                answered = seen
                if let firstUnseen, firstUnseen.position <= moment.position {
                    tickTimestamp = max(timestamp, LogPosition(firstUnseen.position.rawValue - 1))
                } else {
                    tickTimestamp = max(timestamp, moment.position)
                }

                // Who is still who they were?
                for commit in answered { tellSessionDirectory(commit) }
                let rechecked = sessionsToRecheck(answered, all: runsEverything, tick: number)
                try await recheckIdentities(of: rechecked, in: transaction, tick: number, toRun: &toRun)

                // What has to run?
                if runsEverything || configuration.missedInvalidation != nil {
                    for query in queries.values where query.createdIn < number { toRun[ObjectIdentifier(query)] = query }
                }
                let touched = touchedQueries(answered)
                toRun.merge(touched) { query, _ in query }

                runs = try await run(toRun, in: transaction, broken: &brokenNow)
                guard brokenNow.count == broken.count else { return .again }
                if !runsEverything, let report = configuration.missedInvalidation {
                    reportMissedInvalidations(runs, of: toRun, touched: touched, report)
                }
                return .done
            }
        } catch where brokenNow.count > broken.count {
            // What a query has ended cannot be committed.
        }
        guard case .done = outcome else {
            broken = brokenNow
            return .again
        }

        // From here on nothing waits, not even for the transaction's end: results and their timestamp change together, or a
        // client that is shown something in between would get new results under the old timestamp.
        var changed: [ObjectIdentifier: SyncSession] = [:]
        for (id, query) in toRun { if let run = runs[id] { apply(run, to: query, changed: &changed) } }
        for (id, query) in toRun { if let run = runs[id] { fixRange(of: query, journal: run.journal, changed: &changed) } }
        timestamp = tickTimestamp
        lastTick = number
        // Unless commits were missed meanwhile.
        if feedEpoch == epoch { everythingIsDirty = false }
        let answeredPositions = Set(answered.map(\.position))
        pendingCommits.removeAll { answeredPositions.contains($0.position) }
        executions.increment(by: toRun.count)
        changed.merge(waiting) { session, _ in session }
        for session in changed.values { show(session) }
        if !pendingCommits.isEmpty {
            // Commits that came meanwhile, or that are decoded before they are visible: while one waits for a standby that is
            // long in coming, ticks look for it less and less often.
            hiddenDelay = answered.isEmpty ? min(.milliseconds(50), hiddenDelay * 2) : .milliseconds(1)
            requestTick(after: hiddenDelay)
        }
        if !dirty.isEmpty || waiting.values.contains(where: { $0.changedIn >= number }) { requestTick() }
        return .done
    }

    // MARK: Which queries

    private func touchedQueries(_ commits: [Commit]) -> [ObjectIdentifier: LiveQuery] {
        var touched: [ObjectIdentifier: LiveQuery] = [:]
        for commit in commits {
            for topic in commit.topics {
                if let queries = topicIndex[topic] { touched.merge(queries) { query, _ in query } }
            }
            guard !commit.wholeTables.isEmpty else { continue }
            for (topic, queries) in topicIndex where commit.wholeTables.contains(topic.table) {
                touched.merge(queries) { query, _ in query }
            }
        }
        return touched
    }

    /// Runs the queries, all in the transaction's snapshot, and gives their results.
    ///
    /// An SQL error ends the transaction for all. The query that caused it is added to `broken`, and the caller begins anew
    /// without it.
    private func run(
        _ queries: [ObjectIdentifier: LiveQuery], in transaction: Transaction, broken: inout Set<ObjectIdentifier>
    ) async throws -> [ObjectIdentifier: FunctionRunner.QueryRun] {
        var runs: [ObjectIdentifier: FunctionRunner.QueryRun] = [:]
        var jobs: [QueryJob] = []
        for (id, query) in queries {
            if broken.contains(id) {
                let failure = FunctionFailure.unexpected(requestID: .random())
                runs[id] = FunctionRunner.QueryRun(failure: failure, topics: query.topics, journal: query.key.journal)
            } else {
                jobs.append(
                    QueryJob(id: id, function: query.function, arguments: query.arguments, caller: query.caller, journal: query.key.journal))
            }
        }
        for done in try await run(jobs, in: transaction) {
            if done.hasEndedTransaction { broken.insert(done.id) }
            runs[done.id] = done.run
        }
        return runs
    }

    private func run(_ jobs: [QueryJob], in transaction: Transaction) async throws -> [QueryJob.Outcome] {
        try await withThrowingTaskGroup(of: QueryJob.Outcome.self) { [runner, configuration] group in
            var outcomes: [QueryJob.Outcome] = []
            var waiting = jobs.dropFirst(configuration.concurrentRuns).makeIterator()
            for job in jobs.prefix(configuration.concurrentRuns) {
                group.addTask { try await job.run(with: runner, in: transaction) }
            }
            while let outcome = try await group.next() {
                outcomes.append(outcome)
                if let job = waiting.next() {
                    group.addTask { try await job.run(with: runner, in: transaction) }
                }
            }
            return outcomes
        }
    }

    private func apply(
        _ run: FunctionRunner.QueryRun, to query: LiveQuery, changed: inout [ObjectIdentifier: SyncSession]
    ) {
        // Its last watcher left while it ran.
        guard !query.watchers.isEmpty else { return }
        dirty[ObjectIdentifier(query)] = nil
        setTopics(run.topics, of: query)
        let result = LiveResult(run)
        if query.result?.isSame(as: result) != true {
            query.result = result
            changed.merge(query.watchers) { session, _ in session }
        }
    }

    /// A page's first run has fixed its end: from now on it is the query with that range. If there is one already, the one
    /// that has just run takes its place; in one snapshot both have the same result.
    private func fixRange(of query: LiveQuery, journal: String?, changed: inout [ObjectIdentifier: SyncSession]) {
        guard journal != query.key.journal, !query.watchers.isEmpty else { return }
        if queries[query.key] === query { queries[query.key] = nil }
        query.key = query.key.with(journal: journal)
        if let other = queries[query.key] {
            for session in other.watchers.values {
                for (queryID, subscription) in session.subscriptions where subscription.query === other {
                    session.subscriptions[queryID]?.source = .live(query)
                }
                addWatcher(session, to: query)
            }
            changed.merge(other.watchers) { session, _ in session }
            other.watchers = [:]
            forget(other)
        }
        queries[query.key] = query
    }

    private func reportMissedInvalidations(
        _ runs: [ObjectIdentifier: FunctionRunner.QueryRun], of queries: [ObjectIdentifier: LiveQuery],
        touched: [ObjectIdentifier: LiveQuery], _ report: @Sendable (FunctionPath) -> Void
    ) {
        for (id, query) in queries where touched[id] == nil && dirty[id] == nil {
            if let run = runs[id], let old = query.result, !old.isSame(as: LiveResult(run)) { report(query.key.path) }
        }
    }

    // MARK: Who is who

    private func sessionsToRecheck(_ commits: [Commit], all: Bool, tick: UInt64) -> [SyncSession] {
        var users: Set<UserID> = []
        var everybody = all
        for commit in commits {
            if !commit.wholeTables.isDisjoint(with: [.users, .sessions]) { everybody = true }
            for topic in commit.topics {
                switch (topic.table, topic.key) {
                case (.users, .id), (.sessions, .userID): users.insert(UserID(topic.value))
                default: break
                }
            }
        }
        var rechecked = everybody ? sessions : waiting.filter { $0.value.identityIsUnchecked }
        if !everybody {
            for user in users { rechecked.merge(sessionsByUser[user]) { session, _ in session } }
        }
        // Who has signed in since the tick began may be unknown to its snapshot; the next one looks.
        return rechecked.values.filter { $0.caller.principal != nil && $0.identityChangedIn < tick }
    }

    /// Looks up, in the tick's snapshot, whether the sessions' sign-ins still hold and what their roles are.
    private func recheckIdentities(
        of rechecked: [SyncSession], in transaction: Transaction, tick: UInt64, toRun: inout [ObjectIdentifier: LiveQuery]
    ) async throws {
        guard !rechecked.isEmpty else { return }
        let ids = Set(rechecked.compactMap { $0.caller.principal?.sessionID })
        let live = try await accounts.sessions.current(Array(ids), in: transaction)
        for session in rechecked where session.isOpen {
            // It may have signed in as somebody else while we asked.
            guard session.identityChangedIn < tick, let principal = session.caller.principal else { continue }
            session.identityIsUnchecked = false
            switch live[principal.sessionID] {
            case principal: continue
            case let current?: become(.user(current), session)
            case nil where session.kind.recoversFromAuthError:
                refuseIdentity(of: session, "The session has ended")
            case nil:
                session.tokenExpiresAt = nil
                become(.anonymous, session)
            }
            for subscription in session.subscriptions.values {
                if let query = subscription.query, query.result == nil { toRun[ObjectIdentifier(query)] = query }
            }
        }
    }

    /// The session's queries are asked again as `caller`. What the client has been shown stays known, so that only
    /// differences are sent.
    func become(_ caller: Caller, _ session: SyncSession) {
        if let user = session.caller.principal?.userID { sessionsByUser.remove(session, at: user) }
        if let user = caller.principal?.userID { sessionsByUser.insert(session, at: user) }
        let isSomebodyElse = caller != session.caller
        session.caller = caller
        // Its results may be other ones now.
        waiting.insert(session)
        let before = session.subscriptions
        for (queryID, subscription) in before {
            session.subscriptions[queryID]?.source = source(
                for: subscription.request, of: session, journal: subscription.query?.key.journal)
            guard isSomebodyElse else { continue }
            session.subscriptions[queryID]?.askedAt = .now
            session.subscriptions[queryID]?.isReported = false
        }
        for subscription in before.values {
            if let query = subscription.query { removeWatcher(session, from: query) }
        }
    }

    func source(for request: QueryRequest, of session: SyncSession, journal: String?) -> SyncSession.Subscription.Source {
        do {
            let query = try liveQuery(for: request, caller: session.caller, journal: journal)
            addWatcher(session, to: query)
            return .live(query)
        } catch {
            return .refused(LiveResult(error))
        }
    }
}

/// One query to be run in a tick's snapshot.
private struct QueryJob: Sendable {
    let id: ObjectIdentifier
    let function: FunctionDefinition
    let arguments: ConvexValue
    let caller: Caller
    let journal: String?

    struct Outcome: Sendable {
        let id: ObjectIdentifier
        let run: FunctionRunner.QueryRun
        /// The query's own statement failed, and so ended the transaction that it shares with others.
        let hasEndedTransaction: Bool
    }

    func run(with runner: FunctionRunner, in transaction: Transaction) async throws -> Outcome {
        let snapshot = QuerySnapshot(transaction)
        let run = try await runner.runQuery(
            function, arguments: arguments, caller: caller, clientAddress: nil, snapshot: snapshot, journal: journal,
            requestID: .random())
        return Outcome(id: id, run: run, hasEndedTransaction: snapshot.hasEndedTransaction)
    }
}

/// A tick's transaction as one query sees it.
private final class QuerySnapshot: StatementExecutor {
    private let transaction: Transaction
    private let outcome = TransactionOutcome()

    init(_ transaction: Transaction) {
        self.transaction = transaction
    }

    func execute(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult {
        do {
            return try await transaction.execute(statement)
        } catch {
            outcome.note(error)
            throw error
        }
    }

    var hasEndedTransaction: Bool { outcome.hasEnded }
}
