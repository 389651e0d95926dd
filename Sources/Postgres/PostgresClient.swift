import DequeModule
import Logging

/// Runs one statement and gives its rows: a client, a connection, a transaction.
public protocol StatementExecutor: Sendable {
    /// Throws `server` when PostgreSQL refuses it, `overloaded`, `cannotConnect` when nothing was sent, and
    /// `connectionLost` when nobody knows whether it ran.
    func execute(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult
}

/// A process's connections to one database.
///
/// Single statements go through shared pipelines: many callers' statements are in flight on few connections. Reads share
/// one or two; writes are spread over more, because a session commits one transaction at a time and only different
/// sessions share a flush of the log. Transactions, scripts and COPY borrow a connection of their own.
///
/// Connections are opened at the first use, and again, with a growing jittered delay, when the server has been away.
public final class PostgresClient: Sendable {
    public struct Configuration: Sendable {
        public var connection: ConnectionSettings
        /// Shared connections for `read`.
        public var readers = 2
        /// Shared connections for `write`.
        public var writers = 8
        /// At most so many borrowed connections at once.
        public var leases = 8
        /// At most so many callers waiting for each of the three; one more is told `overloaded`.
        public var maximumWaiting = 4096
        /// How long a caller waits for a connection before it is told `cannotConnect` or `overloaded`.
        public var waitingTimeout: Duration = .seconds(5)
        /// How long one statement may run before it is cancelled.
        public var statementTimeout: Duration = .seconds(30)

        public init(connection: ConnectionSettings) {
            self.connection = connection
        }
    }

    public let configuration: Configuration
    private let reactor = Reactor.shared
    private let readers: SharedPipelines
    private let writers: SharedPipelines
    private let leases: LeasePool

    public init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        let naming = StatementNaming()
        let opener = ConnectionOpener(settings: configuration.connection, naming: naming, logger: logger)
        // A statement that waits for a lock holds up what stands behind it in the same pipeline. Reads do not wait for
        // locks, so theirs are deep; a writing statement that finds no shallow pipeline waits for the first that is.
        readers = SharedPipelines(opener: opener, size: configuration.readers, depth: 64, configuration: configuration)
        writers = SharedPipelines(opener: opener, size: configuration.writers, depth: 4, configuration: configuration)
        leases = LeasePool(opener: opener, configuration: configuration)
        reactor.submit { [readers, writers, leases, reactor] in
            Self.watchClock(reactor, readers: readers, writers: writers, leases: leases)
        }
    }

    deinit {
        reactor.submit { [readers, writers, leases] in
            readers.close()
            writers.close()
            leases.close()
        }
    }

    /// Runs a statement that only reads, on a pipeline shared with other callers.
    ///
    /// A caller whose task is cancelled still waits for the answer: a cancel request would hit whoever is running.
    public func read(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult {
        try await run([statement], on: readers)[0]
    }

    /// Runs a statement that may write, as a transaction of its own. When this returns, the commit is durable.
    public func write(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult {
        try await run([statement], on: writers)[0]
    }

    /// Runs several statements as one transaction, in one round trip.
    public func write(_ statements: [BoundStatement]) async throws(PostgresError) -> [QueryResult] {
        try await run(statements, on: writers)
    }

    private func run(_ statements: [BoundStatement], on pipelines: SharedPipelines) async throws(PostgresError) -> [QueryResult] {
        let outcome: Result<[QueryResult], PostgresError> = await withUnsafeContinuation { continuation in
            let unit = Unit(statements: statements, timeout: configuration.statementTimeout) { continuation.resume(returning: $0) }
            reactor.submit { pipelines.submit(unit) }
        }
        return try outcome.get()
    }

    /// Lends a connection to `body`. It is thrown away afterwards if `body` left a transaction open.
    public func withConnection<Value>(
        isolation: isolated (any Actor)? = #isolation, _ body: (LeasedConnection) async throws -> Value
    ) async throws -> Value {
        let connection = try await lease()
        defer { giveBack(connection) }
        return try await body(connection)
    }

    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws.
    ///
    /// `connectionLost` from the commit means that nobody knows whether it took effect.
    public func withTransaction<Value>(
        _ mode: TransactionMode = .readCommitted, isolation: isolated (any Actor)? = #isolation,
        _ body: (Transaction) async throws -> Value
    ) async throws -> Value {
        let connection = try await lease()
        defer { giveBack(connection) }
        return try await connection.withTransaction(mode, body)
    }

    private func lease() async throws(PostgresError) -> LeasedConnection {
        let outcome: Result<LeasedConnection, PostgresError> = await withCheckedContinuation { continuation in
            reactor.submit { [leases] in leases.lease { continuation.resume(returning: $0) } }
        }
        return try outcome.get()
    }

    private func giveBack(_ lease: LeasedConnection) {
        reactor.submit { [leases] in leases.giveBack(lease.connection) }
    }

    /// Ends all connections; statements under way and later ones fail with `closed`.
    public func close() async {
        await reactor.perform { [readers, writers, leases] in
            readers.close()
            writers.close()
            leases.close()
        }
    }

    /// Looks for statements that have run, and callers that have waited, longer than they may.
    private static func watchClock(_ reactor: Reactor, readers: SharedPipelines, writers: SharedPipelines, leases: LeasePool) {
        reactor.after(.milliseconds(200)) { [weak readers, weak writers, weak leases] in
            guard let readers, let writers, let leases, !readers.isClosed else { return }
            let now = Reactor.now
            readers.checkTimes(now: now)
            writers.checkTimes(now: now)
            leases.checkTimes(now: now)
            watchClock(reactor, readers: readers, writers: writers, leases: leases)
        }
    }
}

extension PostgresClient: StatementExecutor {
    /// The same as `write`: right for every statement.
    public func execute(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult {
        try await write(statement)
    }
}

/// Opens connections for the pools, one attempt at a time each, with a growing pause after failures.
final class ConnectionOpener: Sendable {
    let settings: ConnectionSettings
    let naming: StatementNaming
    let logger: Logger
    let reactor = Reactor.shared

    init(settings: ConnectionSettings, naming: StatementNaming, logger: Logger) {
        self.settings = settings
        self.naming = naming
        self.logger = logger
    }

    /// Calls `completion` on the reactor. `failures`: how many attempts have failed in a row.
    func open(failures: Int, completion: @escaping @Sendable (Result<Connection, PostgresError>) -> Void) {
        // Not in a task group: it is begun from the reactor, and ends by itself within the connect time-out.
        Task {
            if failures > 0 {
                // Full jitter over an exponential ceiling, so that workers do not come back in step.
                let ceiling = min(5.0, 0.05 * Double(1 << min(failures, 10)))
                try? await Task.sleep(for: .seconds(Double.random(in: ceiling / 2...ceiling)))
            }
            do {
                let opened = try await settings.connect(isReplication: false)
                reactor.submit { [naming, reactor] in completion(.success(Connection(opened, naming: naming, reactor: reactor))) }
            } catch {
                if failures == 0 { logger.warning("cannot connect to PostgreSQL; trying again", metadata: ["error": "\(error)"]) }
                let failure = error as? PostgresError ?? PostgresError(.cannotConnect)
                reactor.submit { completion(.failure(failure)) }
            }
        }
    }
}

/// A few connections, each with the statements of many callers in flight. Lives on the reactor.
final class SharedPipelines: @unchecked Sendable {
    // Unchecked: touched on the reactor only.
    private let opener: ConnectionOpener
    private let size: Int
    private let depth: Int
    private let configuration: PostgresClient.Configuration
    private var connections: [Connection] = []
    private var opening = 0
    private var failures = 0
    private var lastFailure: PostgresError?
    private var waiting: Deque<(unit: Unit, since: UInt64)> = []
    private(set) var isClosed = false

    init(opener: ConnectionOpener, size: Int, depth: Int, configuration: PostgresClient.Configuration) {
        self.opener = opener
        self.size = size
        self.depth = depth
        self.configuration = configuration
    }

    func submit(_ unit: Unit) {
        let name = unit.statements.first?.statement.name
        guard !isClosed else { return unit.completion(.failure(PostgresError(.closed, statement: name))) }
        if waiting.isEmpty, let connection = freest() {
            return send(unit, to: connection)
        }
        guard waiting.count < configuration.maximumWaiting else {
            return unit.completion(.failure(PostgresError(.overloaded, statement: name)))
        }
        waiting.append((unit, Reactor.now))
        openMissing()
    }

    private func freest() -> Connection? {
        if connections.count + opening < size { openMissing() }
        var best: Connection?
        for connection in connections where connection.load < (best?.load ?? depth) { best = connection }
        return best
    }

    private func send(_ unit: Unit, to connection: Connection) {
        var unit = unit
        let completion = unit.completion
        unit.completion = { [weak self] outcome in
            completion(outcome)
            self?.drain()
        }
        connection.send(unit)
    }

    private func drain() {
        while !waiting.isEmpty, let connection = freest() {
            send(waiting.removeFirst().unit, to: connection)
        }
    }

    private func openMissing() {
        // While the server is away, one attempt at a time is enough.
        while !isClosed, connections.count + opening < size, failures == 0 || opening == 0 {
            opening += 1
            let attempt = failures
            opener.open(failures: attempt) { [weak self] outcome in
                guard let self else {
                    if case .success(let connection) = outcome { connection.close() }
                    return
                }
                opened(outcome, attempt: attempt)
            }
        }
    }

    private func opened(_ outcome: Result<Connection, PostgresError>, attempt: Int) {
        opening -= 1
        switch outcome {
        case .success(let connection) where isClosed:
            connection.close()
        case .success(let connection):
            failures = 0
            lastFailure = nil
            connection.isShared = true
            connections.append(connection)
            connection.onClose = { [weak self, weak connection] _ in
                guard let self else { return }
                connections.removeAll { $0 === connection }
                openMissing()
            }
            drain()
            openMissing()
        case .failure(let error):
            // Attempts that were made together count as one.
            failures = max(failures, attempt + 1)
            lastFailure = error
            if connections.isEmpty || !waiting.isEmpty { openMissing() }
        }
    }

    func checkTimes(now: UInt64) {
        for connection in connections { connection.cancelOverdue(now: now) }
        let limit = configuration.waitingTimeout.nanoseconds
        while let first = waiting.first, now > first.since, now - first.since > limit {
            waiting.removeFirst()
            let error = lastFailure ?? PostgresError(.overloaded)
            first.unit.completion(.failure(error.named(first.unit.statements.first?.statement.name)))
        }
    }

    func close() {
        isClosed = true
        let left = waiting
        waiting = []
        for (unit, _) in left { unit.completion(.failure(PostgresError(.closed))) }
        for connection in connections { connection.close() }
    }
}
