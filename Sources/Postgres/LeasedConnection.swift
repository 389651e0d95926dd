import DequeModule

/// A connection that one caller has for itself, inside `PostgresClient.withConnection`.
///
/// Cancelling the calling task cancels the statement that runs on it.
public struct LeasedConnection: StatementExecutor {
    let connection: Connection
    let statementTimeout: Duration
    private let reactor = Reactor.shared

    init(connection: Connection, statementTimeout: Duration) {
        self.connection = connection
        self.statementTimeout = statementTimeout
    }

    public func execute(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult {
        try await execute([statement])[0]
    }

    /// Runs several statements in one round trip; outside a transaction they are one.
    public func execute(_ statements: [BoundStatement]) async throws(PostgresError) -> [QueryResult] {
        try await whileCancellable { completion in
            connection.send(Unit(statements: statements, timeout: statementTimeout, completion: completion))
        }
    }

    /// Runs SQL text that may hold several statements, with no parameters: migrations, maintenance.
    /// Results come as text. Several statements are one transaction unless the text says otherwise.
    @discardableResult
    public func runScript(_ sql: String, name: String) async throws(PostgresError) -> [QueryResult] {
        try await whileCancellable { completion in connection.runScript(sql, name: name, completion: completion) }
    }

    /// Runs `COPY … FROM STDIN`, with the data that `body` writes.
    ///
    /// - Returns: how many rows the server has taken. If `body` throws, it has taken none.
    public func copyIn(_ sql: String, name: String, _ body: (CopyWriter) async throws -> Void) async throws -> Int {
        let _: Void = try await whileCancellable { completion in
            connection.startCopyIn(sql, name: name, onReady: completion)
        }
        do {
            try await body(CopyWriter(connection: self))
        } catch {
            // A cancelled task cannot do this any more, and then the connection is thrown away, with the same effect.
            let _: Int? = try? await whileCancellable { completion in
                connection.finishCopyIn(abort: true, completion: completion)
            }
            throw error
        }
        return try await whileCancellable { completion in connection.finishCopyIn(abort: false, completion: completion) }
    }

    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws.
    ///
    /// BEGIN travels with the first statement, so a transaction costs its statements' round trips and one for COMMIT.
    public func withTransaction<Value>(
        _ mode: TransactionMode = .readCommitted, isolation: isolated (any Actor)? = #isolation,
        _ body: (Transaction) async throws -> Value
    ) async throws -> Value {
        do {
            if case .importedSnapshot(let id) = mode {
                // A text of its own each time, and so not worth preparing.
                try await runScript("\(mode.begin.sql); SET TRANSACTION SNAPSHOT '\(id)'", name: "transaction.import_snapshot")
            } else {
                reactor.submit { [connection] in connection.beginTransaction(mode.begin) }
            }
            let value = try await body(Transaction(connection: self))
            let commit = try await whileCancellable { completion in
                connection.endTransaction(
                    Unit(statements: [TransactionMode.commit()], timeout: statementTimeout, completion: completion))
            }
            // COMMIT of a failed transaction "succeeds" by rolling back. No answer: nothing ran, nothing was sent.
            if let tag = commit.first?.commandTag, tag != "COMMIT" {
                throw PostgresError(.server, sqlState: .inFailedTransaction, statement: TransactionMode.commit.name)
            }
            return value
        } catch {
            // If this fails too, the connection is not idle afterwards and is thrown away. Not cancellable: the rollback
            // has to run even, and above all, when the task was cancelled.
            _ = await withCheckedContinuation { continuation in
                reactor.submit {
                    connection.endTransaction(
                        Unit(statements: [TransactionMode.rollback()], timeout: statementTimeout) {
                            continuation.resume(returning: $0)
                        })
                }
            }
            throw error
        }
    }

    fileprivate func whileCancellable<Value: Sendable>(
        _ start: @escaping @Sendable (@escaping @Sendable (Result<Value, PostgresError>) -> Void) -> Void
    ) async throws(PostgresError) -> Value {
        let call = CancellableCall()
        let outcome: Result<Value, PostgresError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                reactor.submit {
                    guard call.phase == .waiting else { return continuation.resume(returning: .failure(PostgresError(.cancelled))) }
                    call.phase = .running
                    start { outcome in
                        call.phase = .ended
                        continuation.resume(returning: outcome)
                    }
                }
            }
        } onCancel: { [connection, reactor] in
            reactor.submit {
                // Only while it runs: a moment later the request would hit what runs next, the rollback for one.
                if call.phase == .running { connection.cancelRunning() }
                call.phase = .ended
            }
        }
        if case .failure(let error) = outcome, error.sqlState == .queryCanceled, Task.isCancelled {
            throw PostgresError(.cancelled, sqlState: error.sqlState, statement: error.statement)
        }
        return try outcome.get()
    }
}

/// How far a call that can be cancelled has come.
private final class CancellableCall: @unchecked Sendable {
    // Unchecked: touched on the reactor only, except for `init`.
    enum Phase { case waiting, running, ended }
    var phase = Phase.waiting
}

/// A transaction in progress. Any error ends it: what follows fails, and the closure it was lent to should throw.
public struct Transaction: StatementExecutor {
    let connection: LeasedConnection

    public func execute(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult {
        try await connection.execute(statement)
    }

    /// Runs several statements in one round trip.
    public func execute(_ statements: [BoundStatement]) async throws(PostgresError) -> [QueryResult] {
        try await connection.execute(statements)
    }

    /// Runs SQL text that may hold several statements, with no parameters. Results come as text.
    @discardableResult
    public func runScript(_ sql: String, name: String) async throws(PostgresError) -> [QueryResult] {
        try await connection.runScript(sql, name: name)
    }

    /// Runs `COPY … FROM STDIN`, with the data that `body` writes.
    ///
    /// - Returns: how many rows the server has taken. If `body` throws, it has taken none.
    public func copyIn(_ sql: String, name: String, _ body: (CopyWriter) async throws -> Void) async throws -> Int {
        try await connection.copyIn(sql, name: name, body)
    }
}

public enum TransactionMode: Sendable {
    case readCommitted
    /// Everything read in it is of one moment, but for what it writes itself. A row that others have changed since then cannot be
    /// written (`serializationFailure`).
    case repeatableRead
    /// Everything read in it is of one moment (REPEATABLE READ READ ONLY).
    case snapshot
    /// As `snapshot`, of the moment that another transaction has exported and still holds.
    case importedSnapshot(SnapshotID)

    var begin: Statement {
        switch self {
        case .readCommitted: Self.beginReadCommitted
        case .repeatableRead: Self.beginRepeatableRead
        case .snapshot, .importedSnapshot: Self.beginSnapshot
        }
    }

    private static let beginReadCommitted = Statement(unprepared: "transaction.begin", "BEGIN ISOLATION LEVEL READ COMMITTED")
    private static let beginRepeatableRead = Statement(unprepared: "transaction.begin", "BEGIN ISOLATION LEVEL REPEATABLE READ")
    private static let beginSnapshot = Statement(unprepared: "transaction.begin", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    static let commit = Statement(unprepared: "transaction.commit", "COMMIT")
    static let rollback = Statement(unprepared: "transaction.rollback", "ROLLBACK")
}

/// Takes the data of a COPY, in pieces of any size that need not end at a row's end.
public struct CopyWriter: Sendable {
    let connection: LeasedConnection

    /// Returns when the piece is on its way to the server, so that a fast writer is held back by a slow server.
    public func write(_ bytes: [UInt8]) async throws(PostgresError) {
        try await connection.whileCancellable { completion in
            connection.connection.copyChunk(bytes, completion: completion)
        }
    }
}

/// Connections that are lent out one caller at a time. Lives on the reactor.
final class LeasePool: @unchecked Sendable {
    // Unchecked: touched on the reactor only.
    typealias Completion = @Sendable (Result<LeasedConnection, PostgresError>) -> Void

    private let opener: ConnectionOpener
    private let configuration: PostgresClient.Configuration
    private var idle: [Connection] = []
    private var lent: [Connection] = []
    private var opening = 0
    private var failures = 0
    private var lastFailure: PostgresError?
    private var waiting: Deque<(completion: Completion, since: UInt64)> = []
    private var isClosed = false

    init(opener: ConnectionOpener, configuration: PostgresClient.Configuration) {
        self.opener = opener
        self.configuration = configuration
    }

    func lease(_ completion: @escaping Completion) {
        guard !isClosed else { return completion(.failure(PostgresError(.closed))) }
        guard waiting.count < configuration.maximumWaiting else { return completion(.failure(PostgresError(.overloaded))) }
        waiting.append((completion, Reactor.now))
        serve()
    }

    func giveBack(_ connection: Connection) {
        lent.removeAll { $0 === connection }
        if connection.isReusable, !isClosed {
            idle.append(connection)
        } else {
            connection.close()
        }
        serve()
    }

    private func serve() {
        while !waiting.isEmpty {
            if let connection = idle.popLast() {
                guard connection.isOpen else { continue }
                lent.append(connection)
                let lease = LeasedConnection(connection: connection, statementTimeout: configuration.statementTimeout)
                waiting.removeFirst().completion(.success(lease))
            } else {
                let wanted = min(waiting.count, configuration.leases - lent.count) - opening
                guard wanted > 0, failures == 0 || opening == 0 else { return }
                open()
            }
        }
    }

    private func open() {
        opening += 1
        let attempt = failures
        opener.open(failures: attempt) { [weak self] outcome in
            guard let self else {
                if case .success(let connection) = outcome { connection.close() }
                return
            }
            opening -= 1
            switch outcome {
            case .success(let connection) where isClosed:
                connection.close()
            case .success(let connection):
                failures = 0
                lastFailure = nil
                connection.onClose = { [weak self, weak connection] _ in self?.idle.removeAll { $0 === connection } }
                idle.append(connection)
            case .failure(let error):
                // Attempts that were made together count as one.
                failures = max(failures, attempt + 1)
                lastFailure = error
            }
            serve()
        }
    }

    func checkTimes(now: UInt64) {
        for connection in lent { connection.cancelOverdue(now: now) }
        let limit = configuration.waitingTimeout.nanoseconds
        while let first = waiting.first, now > first.since, now - first.since > limit {
            waiting.removeFirst()
            first.completion(.failure(lastFailure ?? PostgresError(.overloaded)))
        }
    }

    func close() {
        isClosed = true
        let left = waiting
        waiting = []
        for (completion, _) in left { completion(.failure(PostgresError(.closed))) }
        for connection in idle + lent { connection.close() }
    }
}

/// What `pg_export_snapshot()` gives: `00000003-0000001B-1`.
public struct SnapshotID: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// Nil for text that could mean anything else in SQL.
    public init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= 64, text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || $0.isHexadecimalDigit }) else {
            return nil
        }
        description = text
    }
}

extension UInt8 {
    fileprivate var isHexadecimalDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(self)
    }
}
