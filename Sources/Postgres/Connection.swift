import CLibpq
import DequeModule
import Dispatch

/// One session with PostgreSQL, in pipeline mode: units go out as they come and their answers are matched in order.
///
/// Lives on the reactor; every method is called there. `PostgresClient` owns connections and decides who uses them.
final class Connection: Reactor.Pollable, @unchecked Sendable {
    // Unchecked: touched on the reactor only, except for `init`.

    private let reactor: Reactor
    private let pointer: OpaquePointer
    private let cancelHandle: OpaquePointer?
    private let descriptor: Int32
    private var key: UInt64 = 0

    /// What a connection is doing; pipeline mode and the others exclude each other.
    private enum Mode {
        case pipeline
        /// One command in the simple protocol, a script perhaps.
        case simple(SimpleCommand)
        case copyIn(CopyIn)
        case replication(ReplicationReader)
        case closed
    }

    private var mode = Mode.pipeline
    private var isWaitingToWrite = false

    // Pipeline mode.
    private var inFlight: Deque<InFlight> = []
    /// The statements that this session has, or will have when the units in flight are done, by their names.
    private var prepared: [String: Preparation] = [:]
    /// Named statements do not work here (a pooler in transaction mode gives us another session each time).
    private let naming: StatementNaming

    /// Many callers use it at once, so each unit is a transaction of its own.
    var isShared = false
    /// Goes out with the next unit, as a part of it.
    private var waitingBegin: Statement?
    /// A cancel request is on its way whose unit may be done: it would hit the next one.
    private var hasStrayCancel = false
    /// A statement's plan is stale, and was found so where it could not be prepared anew.
    private var hasStalePlan = false

    /// Called once when the connection is gone.
    var onClose: ((PostgresError) -> Void)?

    /// A unit that was sent, and how far its answer has come.
    private struct InFlight {
        var unit: Unit
        /// What the server will answer, in order; ended by the sync point.
        var expected: [Expected]
        var position = 0
        var results: [QueryResult] = []
        /// The first error, and the position where it came.
        var error: PostgresError?
        var failedAt = 0
        var startedAt: UInt64
        var wasCancelled = false
    }

    private enum Expected {
        case begin(Statement)
        case preparation(Statement)
        case execution(Statement)

        var statement: Statement {
            switch self {
            case .begin(let statement), .preparation(let statement), .execution(let statement): statement
            }
        }
    }

    private enum Preparation {
        case sent
        /// The server has said that it has it.
        case confirmed
    }

    private struct SimpleCommand {
        let name: String
        /// The BEGIN that was put in front, whose result concerns nobody.
        var unwantedResults = 0
        var results: [QueryResult] = []
        var error: PostgresError?
        let completion: @Sendable (Result<[QueryResult], PostgresError>) -> Void
    }

    private struct CopyIn {
        let name: String
        /// The server has said that it takes data.
        var onReady: (@Sendable (Result<Void, PostgresError>) -> Void)?
        /// A chunk that did not fit in libpq's buffer yet.
        var waitingChunk: (bytes: [UInt8], completion: @Sendable (Result<Void, PostgresError>) -> Void)?
        var completion: (@Sendable (Result<Int, PostgresError>) -> Void)?
        var affectedRows = 0
        var error: PostgresError?
    }

    private struct ReplicationReader {
        var buffered: [[UInt8]] = []
        var bufferedBytes = 0
        /// How many of `buffered` the waiter has been asked about, and how many of those were worth waking it.
        var examined = 0
        var worthy = 0
        var waiter: ReplicationWaiter?
        /// Nothing is read from the socket: too much is buffered, or the stream is so fast that it is read now and then only.
        var isFull = false
        var isResting = false
        var failure: PostgresError?

        var deliveredAt: UInt64 = 0
        /// Nanoseconds between two messages that are worth waking for, lately.
        var interval: UInt64 = 10_000_000

        var isPaused: Bool { isFull || isResting }
    }

    private struct ReplicationWaiter {
        let isWorthWaking: @Sendable ([UInt8]) -> Bool
        let completion: @Sendable (Result<[[UInt8]], PostgresError>) -> Void
    }

    /// How long a cancelled statement may take to end. After that the server, or the way to it, counts as lost.
    private static let cancellationLimit = Duration.seconds(10).nanoseconds

    /// A reader who falls this far behind makes us stop reading, and so the server stop sending.
    private static let replicationBufferLimit = 8 << 20

    /// Adopts an open connection. Call on the reactor.
    init(_ opened: OpenedConnection, naming: StatementNaming, reactor: Reactor) {
        self.reactor = reactor
        self.naming = naming
        pointer = opened.pointer
        cancelHandle = PQgetCancel(opened.pointer)
        descriptor = PQsocket(opened.pointer)
        PQenterPipelineMode(pointer)
        key = reactor.watch(descriptor, self)
        if opened.isPooled { naming.disable() }
    }

    deinit {
        if let cancelHandle { PQfreeCancel(cancelHandle) }
    }

    var isOpen: Bool { if case .closed = mode { false } else { true } }
    /// How many units wait for their answer here.
    var load: Int { inFlight.count }
    /// Whether another caller may have the session: it is idle, and nothing of the last one's can catch up with it.
    var isReusable: Bool {
        isOpen && inFlight.isEmpty && waitingBegin == nil && !hasStrayCancel && !hasStalePlan
            && PQtransactionStatus(pointer) == PQTRANS_IDLE
    }

    func close() {
        fail(PostgresError(.closed))
    }

    // MARK: Pipeline

    /// Sends a unit, at once or as soon as the socket takes it.
    func send(_ unit: Unit) {
        guard case .pipeline = mode else {
            return unit.completion(.failure(PostgresError(.connectionLost, statement: unit.statements.first?.statement.name)))
        }
        var flight = InFlight(unit: unit, expected: [], startedAt: Reactor.now)
        var sent = true
        if let begin = waitingBegin {
            waitingBegin = nil
            flight.expected.append(.begin(begin))
            sent = execute(begin(), isNamed: false)
        }
        for bound in unit.statements where sent {
            let statement = bound.statement
            if naming.isEnabled, statement.isPrepared {
                if prepared[statement.preparedName] == nil {
                    prepared[statement.preparedName] = .sent
                    flight.expected.append(.preparation(statement))
                    sent = prepare(bound)
                }
                flight.expected.append(.execution(statement))
                sent = sent && execute(bound, isNamed: true)
            } else {
                flight.expected.append(.execution(statement))
                sent = execute(bound, isNamed: false)
            }
        }
        sent = sent && PQpipelineSync(pointer) == 1
        inFlight.append(flight)
        if sent { flush() } else { fail(connectionError()) }
    }

    /// Opens a transaction with the next unit. They travel together, so that if BEGIN fails the unit does not run outside.
    func beginTransaction(_ begin: Statement) {
        waitingBegin = begin
    }

    /// Ends a transaction; one in which nothing ran has not even begun.
    func endTransaction(_ unit: Unit) {
        guard waitingBegin == nil else {
            waitingBegin = nil
            return unit.completion(.success([]))
        }
        send(unit)
    }

    private func prepare(_ bound: BoundStatement) -> Bool {
        let types = bound.parameters.slots.map { Oid($0.type.rawValue) }
        return PQsendPrepare(pointer, bound.statement.preparedName, bound.statement.sql, Int32(types.count), types) == 1
    }

    private func execute(_ bound: BoundStatement, isNamed: Bool) -> Bool {
        let slots = bound.parameters.slots
        return bound.parameters.bytes.withUnsafeBufferPointer { bytes in
            // An empty value is not read, but still needs an address: a null pointer would mean NULL.
            let base = UnsafeRawPointer(bytes.baseAddress ?? UnsafePointer(bitPattern: 1)!).assumingMemoryBound(to: CChar.self)
            let values: [UnsafePointer<CChar>?] = slots.map { $0.length < 0 ? nil : base + $0.offset }
            let lengths = slots.map { max($0.length, 0) }
            let formats = [Int32](repeating: 1, count: slots.count)
            if isNamed {
                return PQsendQueryPrepared(
                    pointer, bound.statement.preparedName, Int32(slots.count), values, lengths, formats, 1) == 1
            }
            let types = slots.map { Oid($0.type.rawValue) }
            return PQsendQueryParams(pointer, bound.statement.sql, Int32(slots.count), types, values, lengths, formats, 1) == 1
        }
    }

    private func readPipeline() {
        var wasNull = false
        while !inFlight.isEmpty, PQisBusy(pointer) == 0 {
            // A null result ends one statement's answer; the next call begins the next one's.
            guard let result = PQgetResult(pointer) else {
                // A broken connection gives them for ever once its last answer is read.
                if wasNull, PQstatus(pointer) != CONNECTION_OK { return }
                wasNull = true
                inFlight[0].position += 1
                continue
            }
            wasNull = false
            switch PQresultStatus(result) {
            case PGRES_PIPELINE_SYNC:
                PQclear(result)
                finishFirst()
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                switch currentExpectation {
                case .execution(let statement):
                    inFlight[0].results.append(QueryResult(owning: result, statement: statement.name))
                case .preparation(let statement):
                    prepared[statement.preparedName] = .confirmed
                    PQclear(result)
                case .begin, nil:
                    PQclear(result)
                }
            case PGRES_PIPELINE_ABORTED:
                forgetIfPreparing()
                PQclear(result)
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                PQclear(result)
                return fail(PostgresError(.unexpectedResult, statement: currentStatement, serverMessage: "COPY in a pipeline"))
            default:
                let error = PostgresError(result: result, statement: currentStatement)
                PQclear(result)
                forgetIfPreparing()
                // The session may have the statement although we did not know: then nothing is wrong with the name.
                if error.sqlState == .duplicatePreparedStatement, case .preparation(let statement) = currentExpectation {
                    prepared[statement.preparedName] = .confirmed
                }
                if inFlight[0].error == nil {
                    inFlight[0].error = error
                    inFlight[0].failedAt = inFlight[0].position
                }
            }
        }
    }

    private var currentExpectation: Expected? {
        let first = inFlight[0]
        return first.position < first.expected.count ? first.expected[first.position] : nil
    }

    private var currentStatement: String? { currentExpectation?.statement.name }

    private func forgetIfPreparing() {
        if case .preparation(let statement) = currentExpectation { prepared[statement.preparedName] = nil }
    }

    private func finishFirst() {
        var flight = inFlight.removeFirst()
        // The next unit starts to run when the one before it is done.
        if !inFlight.isEmpty { inFlight[0].startedAt = Reactor.now }
        guard let error = flight.error else {
            return flight.unit.completion(.success(flight.results))
        }
        if mend(error, of: flight) {
            flight.unit.attempts += 1
            return send(flight.unit)
        }
        flight.unit.completion(.failure(error))
    }

    /// Whether the unit can be sent again because its error is none of its own doing and has been dealt with.
    private func mend(_ error: PostgresError, of flight: InFlight) -> Bool {
        // Inside a transaction the error has already ended it. (libpq tells only while nothing is under way.)
        let canSendAgain = flight.unit.attempts < 3 && (isShared || PQtransactionStatus(pointer) == PQTRANS_IDLE)
        switch error.sqlState {
        case .queryCanceled where flight.wasCancelled:
            hasStrayCancel = false
            return false
        case .queryCanceled where hasStrayCancel:
            // Meant for a unit that was done before the request arrived.
            hasStrayCancel = false
            return canSendAgain
        case .duplicatePreparedStatement:
            // A session of the pooler has it already, from another client of this program: same name, same text.
            return canSendAgain
        case .invalidStatementName:
            // Confirmed and yet unknown: a pooler gave us another session. Otherwise a unit ahead failed to prepare it.
            if flight.failedAt < flight.expected.count,
                prepared[flight.expected[flight.failedAt].statement.preparedName] == .confirmed
            {
                naming.disable()
            }
            return canSendAgain
        case .featureNotSupported where error.serverFunction == "RevalidateCachedQuery":
            // "cached plan must not change result type": a migration has changed a table under the statement.
            guard canSendAgain else {
                hasStalePlan = true
                return false
            }
            for expected in flight.expected {
                if case .execution(let statement) = expected, prepared.removeValue(forKey: statement.preparedName) != nil {
                    sendUnnamed(Statement(unprepared: "deallocate", "DEALLOCATE \(statement.preparedName)"))
                }
            }
            return true
        default:
            return false
        }
    }

    /// Sends a statement without preparing it and drops its answer.
    private func sendUnnamed(_ statement: Statement) {
        let bound = statement()
        var flight = InFlight(
            unit: Unit(statements: [bound], timeout: .seconds(30), completion: { _ in }), expected: [.execution(statement)],
            startedAt: Reactor.now)
        flight.unit.attempts = 3
        inFlight.append(flight)
        if !(execute(bound, isNamed: false) && PQpipelineSync(pointer) == 1) { fail(connectionError()) }
    }

    /// Asks the server to cancel the unit that is running, if it has run longer than it may.
    func cancelOverdue(now: UInt64) {
        guard case .pipeline = mode, let first = inFlight.first, now > first.startedAt else { return }
        let runningTime = now - first.startedAt
        let limit = first.unit.timeout.nanoseconds
        guard runningTime > limit else { return }
        if !first.wasCancelled {
            cancelRunning()
        } else if runningTime - limit > Self.cancellationLimit {
            fail(PostgresError(.connectionLost, serverMessage: "no answer to a cancel request"))
        }
    }

    /// Asks the server to cancel whatever runs in this session. The answer comes as that statement's error.
    func cancelRunning() {
        guard cancelHandle != nil else { return }
        hasStrayCancel = true
        if !inFlight.isEmpty { inFlight[0].wasCancelled = true }
        // PQcancel opens a connection and waits. `self` keeps the handle alive meanwhile.
        DispatchQueue.global().async { [self] in
            var reason = [CChar](repeating: 0, count: 256)
            PQcancel(cancelHandle, &reason, Int32(reason.count))
        }
    }

    // MARK: Simple protocol, for scripts and replication commands

    /// Runs SQL text in the simple protocol: several statements if need be, results as text.
    func runScript(_ sql: String, name: String, completion: @escaping @Sendable (Result<[QueryResult], PostgresError>) -> Void) {
        guard leavePipeline() else { return completion(.failure(PostgresError(.connectionLost, statement: name))) }
        let begin = takeBegin()
        mode = .simple(SimpleCommand(name: name, unwantedResults: begin.isEmpty ? 0 : 1, completion: completion))
        guard PQsendQuery(pointer, begin + sql) == 1 else { return fail(connectionError()) }
        flush()
    }

    private func readSimple(_ command: SimpleCommand) {
        var command = command
        while PQisBusy(pointer) == 0 {
            guard let result = PQgetResult(pointer) else {
                mode = .pipeline
                PQenterPipelineMode(pointer)
                let results = Array(command.results.dropFirst(command.unwantedResults))
                command.completion(command.error.map { .failure($0) } ?? .success(results))
                return
            }
            switch PQresultStatus(result) {
            case PGRES_COPY_BOTH:
                PQclear(result)
                mode = .replication(ReplicationReader())
                command.completion(.success([]))
                return readReplication()
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                command.results.append(QueryResult(owning: result, statement: command.name))
            case PGRES_COPY_IN, PGRES_COPY_OUT:
                PQclear(result)
                mode = .simple(command)
                return fail(PostgresError(.unexpectedResult, statement: command.name, serverMessage: "COPY in a script"))
            default:
                let error = PostgresError(result: result, statement: command.name)
                PQclear(result)
                if error.sqlState == .queryCanceled { hasStrayCancel = false }
                command.error = command.error ?? error
            }
        }
        mode = .simple(command)
    }

    private func leavePipeline() -> Bool {
        guard case .pipeline = mode, inFlight.isEmpty else { return false }
        return PQexitPipelineMode(pointer) == 1
    }

    private func takeBegin() -> String {
        defer { waitingBegin = nil }
        return waitingBegin.map { $0.sql + "; " } ?? ""
    }

    // MARK: COPY

    /// Starts `COPY … FROM STDIN`; `onReady` is called when data may be sent.
    func startCopyIn(_ sql: String, name: String, onReady: @escaping @Sendable (Result<Void, PostgresError>) -> Void) {
        guard leavePipeline() else { return onReady(.failure(PostgresError(.connectionLost, statement: name))) }
        mode = .copyIn(CopyIn(name: name, onReady: onReady))
        guard PQsendQuery(pointer, takeBegin() + sql) == 1 else { return fail(connectionError()) }
        flush()
    }

    /// Sends a piece of the data; `completion` is called when libpq has taken it, so that a fast writer waits for the server.
    func copyChunk(_ bytes: [UInt8], completion: @escaping @Sendable (Result<Void, PostgresError>) -> Void) {
        guard case .copyIn(var copy) = mode, copy.waitingChunk == nil else {
            return completion(.failure(PostgresError(.connectionLost)))
        }
        copy.waitingChunk = (bytes, completion)
        mode = .copyIn(copy)
        sendWaitingChunk()
    }

    private func sendWaitingChunk() {
        guard case .copyIn(var copy) = mode, let chunk = copy.waitingChunk else { return }
        let status = chunk.bytes.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { PQputCopyData(pointer, $0.baseAddress ?? UnsafePointer(bitPattern: 1)!, Int32($0.count)) }
        }
        guard status >= 0 else { return fail(connectionError()) }
        flush()
        // A failed connection has already told the writer.
        guard isOpen else { return }
        // libpq took the bytes, but wait until the kernel has them too: this is what bounds memory.
        if status == 1, !isWaitingToWrite {
            copy.waitingChunk = nil
            mode = .copyIn(copy)
            chunk.completion(.success(()))
        } else if status == 1 {
            copy.waitingChunk = ([], chunk.completion)
            mode = .copyIn(copy)
        }
    }

    /// Ends the data; `completion` gets the number of rows once the server has taken them all. `abort` makes it take none.
    func finishCopyIn(abort: Bool, completion: @escaping @Sendable (Result<Int, PostgresError>) -> Void) {
        guard case .copyIn(var copy) = mode else { return completion(.failure(PostgresError(.connectionLost))) }
        copy.completion = completion
        mode = .copyIn(copy)
        guard PQputCopyEnd(pointer, abort ? "aborted by the client" : nil) == 1 else { return fail(connectionError()) }
        flush()
        readCopyIn()
    }

    private func readCopyIn() {
        while case .copyIn(var copy) = mode, PQisBusy(pointer) == 0 {
            guard let result = PQgetResult(pointer) else {
                mode = .pipeline
                PQenterPipelineMode(pointer)
                // Ended without having asked for data: it failed, or it was no COPY.
                copy.onReady?(.failure(copy.error ?? PostgresError(.unexpectedResult, statement: copy.name)))
                copy.completion?(copy.error.map { .failure($0) } ?? .success(copy.affectedRows))
                return
            }
            switch PQresultStatus(result) {
            case PGRES_COPY_IN:
                PQclear(result)
                let onReady = copy.onReady
                copy.onReady = nil
                mode = .copyIn(copy)
                onReady?(.success(()))
                // The next result comes after the end of the data; asking for it now would be asking for COPY_IN again.
                // An error that the server finds in the data shows then too: until the end it swallows what we send.
                return
            case PGRES_COMMAND_OK:
                copy.affectedRows = QueryResult(owning: result, statement: copy.name).affectedRows
                mode = .copyIn(copy)
            case PGRES_COPY_OUT, PGRES_COPY_BOTH:
                PQclear(result)
                return fail(PostgresError(.unexpectedResult, statement: copy.name, serverMessage: "not COPY FROM STDIN"))
            default:
                let error = PostgresError(result: result, statement: copy.name)
                PQclear(result)
                if error.sqlState == .queryCanceled { hasStrayCancel = false }
                copy.error = copy.error ?? error
                mode = .copyIn(copy)
            }
        }
    }

    // MARK: Replication

    /// Waits for messages of the replication stream: all that have arrived, when one of them is worth it.
    func nextReplicationMessages(
        until isWorthWaking: @escaping @Sendable ([UInt8]) -> Bool,
        completion: @escaping @Sendable (Result<[[UInt8]], PostgresError>) -> Void
    ) {
        guard case .replication(var reader) = mode else { return completion(.failure(PostgresError(.connectionLost))) }
        reader.waiter = ReplicationWaiter(isWorthWaking: isWorthWaking, completion: completion)
        reader.examined = 0
        reader.worthy = 0
        mode = .replication(reader)
        deliverReplicationMessages()
    }

    private func deliverReplicationMessages() {
        guard case .replication(var reader) = mode, let waiter = reader.waiter else { return }
        reader.worthy += reader.buffered[reader.examined...].count(where: waiter.isWorthWaking)
        reader.examined = reader.buffered.count
        guard reader.worthy > 0 || reader.isFull || reader.failure != nil else { return mode = .replication(reader) }
        reader.waiter = nil
        guard !reader.buffered.isEmpty else {
            mode = .replication(reader)
            let failure = reader.failure ?? PostgresError(.connectionLost)
            waiter.completion(.failure(failure))
            return fail(failure)
        }
        let messages = reader.buffered
        reader.buffered = []
        reader.bufferedBytes = 0
        let wasFull = reader.isFull
        reader.isFull = false
        let now = Reactor.now
        let sample = min(now - reader.deliveredAt, 10_000_000) / UInt64(max(1, reader.worthy))
        reader.interval = (reader.interval * 7 + sample) / 8
        reader.deliveredAt = now
        let mustRest = reader.interval < Self.restlessInterval && !reader.isResting
        if mustRest { reader.isResting = true }
        mode = .replication(reader)
        if mustRest || wasFull { setReplicationInterest() }
        if mustRest { reactor.after(Self.rest) { [weak self] in self?.endReplicationRest() } }
        if wasFull { readReplication() }
        waiter.completion(.success(messages))
    }

    /// When several commits come in a millisecond, they are read together: each wake-up costs more than decoding does.
    private static let restlessInterval: UInt64 = 250_000
    private static let rest = Duration.milliseconds(2)

    private func endReplicationRest() {
        guard isOpen, case .replication(var reader) = mode else { return }
        reader.isResting = false
        mode = .replication(reader)
        setReplicationInterest()
    }

    private func setReplicationInterest() {
        guard case .replication(let reader) = mode else { return }
        reactor.setInterest(descriptor, key: key, readable: !reader.isPaused, writable: isWaitingToWrite)
    }

    /// Sends a message of the replication protocol: a standby status update.
    func sendReplicationMessage(_ bytes: [UInt8]) {
        guard case .replication = mode else { return }
        let status = bytes.withUnsafeBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { PQputCopyData(pointer, $0.baseAddress!, Int32($0.count)) }
        }
        if status < 0 { fail(connectionError()) } else { flush() }
    }

    private func readReplication() {
        guard case .replication(var reader) = mode, !reader.isFull else { return }
        while true {
            var buffer: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(pointer, &buffer, 1)
            guard length > 0, let buffer else {
                if length < 0 {
                    // -1: the server ended the stream; -2: an error. A result says why in both cases.
                    var failure = connectionError()
                    if let result = PQgetResult(pointer) {
                        failure = PostgresError(result: result, statement: "replication stream")
                        PQclear(result)
                    }
                    reader.failure = failure
                }
                break
            }
            reader.buffered.append(Array(UnsafeRawBufferPointer(start: buffer, count: Int(length))))
            reader.bufferedBytes += Int(length)
            PQfreemem(buffer)
            if reader.bufferedBytes > Self.replicationBufferLimit {
                reader.isFull = true
                break
            }
        }
        mode = .replication(reader)
        if reader.isFull { setReplicationInterest() }
        deliverReplicationMessages()
    }

    // MARK: Socket

    func socketIsReady(readable: Bool, writable: Bool) {
        guard isOpen else { return }
        if readable, PQconsumeInput(pointer) == 0 { return inputFailed() }
        if writable || isWaitingToWrite { flush() }
        read()
    }

    private func read() {
        switch mode {
        case .pipeline:
            readPipeline()
        case .simple(let command): readSimple(command)
        case .copyIn:
            sendWaitingChunk()
            readCopyIn()
        case .replication: readReplication()
        case .closed: break
        }
        // libpq closes the socket by itself when it finds the protocol violated, or a good-bye while nothing is under way.
        if isOpen, PQstatus(pointer) != CONNECTION_OK { fail(connectionError()) }
    }

    /// The connection is gone, but answers that came before may be waiting in libpq.
    private func inputFailed() {
        let error = connectionError()
        read()
        fail(error)
    }

    private func flush() {
        guard isOpen else { return }
        let status = PQflush(pointer)
        guard status >= 0 else {
            // The reason may be in what the server said before it hung up.
            _ = PQconsumeInput(pointer)
            return inputFailed()
        }
        let mustWait = status == 1
        if mustWait != isWaitingToWrite {
            isWaitingToWrite = mustWait
            var isPaused = false
            if case .replication(let reader) = mode { isPaused = reader.isPaused }
            reactor.setInterest(descriptor, key: key, readable: !isPaused, writable: mustWait)
        }
    }

    private func connectionError() -> PostgresError {
        PostgresError(.connectionLost, serverMessage: String(cString: PQerrorMessage(pointer)))
    }

    /// Ends the connection; everyone who waits is told, and nobody is told of a success.
    private func fail(_ error: PostgresError) {
        let ended = mode
        if case .closed = ended { return }
        mode = .closed
        reactor.unwatch(descriptor, key: key)
        PQfinish(pointer)
        let waiting = inFlight
        inFlight = []
        // First, so that nobody who is told now sends anything here.
        onClose?(error)
        onClose = nil
        for flight in waiting {
            flight.unit.completion(.failure((flight.error ?? error).named(flight.unit.statements.first?.statement.name)))
        }
        switch ended {
        case .simple(let command): command.completion(.failure((command.error ?? error).named(command.name)))
        case .copyIn(let copy):
            copy.onReady?(.failure(error))
            copy.waitingChunk?.completion(.failure(error))
            copy.completion?(.failure(copy.error ?? error))
        case .replication(let reader): reader.waiter?.completion(.failure(reader.failure ?? error))
        case .pipeline, .closed: break
        }
    }
}

/// Whether statements are prepared under names; one switch for all connections of a client.
final class StatementNaming: @unchecked Sendable {
    // Unchecked: touched on the reactor only.
    private(set) var isEnabled = true
    func disable() { isEnabled = false }
}
