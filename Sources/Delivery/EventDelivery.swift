import Domain
import Events
import Foundation
import Logging
import Postgres
import ServiceLifecycle
import Spool
import Store
import Synchronization

/// What the delivery of a spool is doing.
public enum DeliveryState: Equatable, Sendable {
    case starting
    case delivering
    /// PostgreSQL cannot be written to, or the spool not be read. Events stay in the spool; delivery tries again for ever.
    case waiting(reason: String, since: Instant)
}

/// Takes events from a spool to PostgreSQL, each exactly once.
///
/// A batch is one transaction: its events, their keys, the position behind it, and the ledger. So the position that PostgreSQL
/// knows tells what is stored, whatever happens to either side and to the connection between. A batch is what is there when the one
/// before it is on its way: one event when little comes in, thousands when much does. When more is waiting than fits in a batch,
/// the next one is copied while the one before it commits; they commit in order.
public final class EventDelivery: Service {
    public struct Configuration: Sendable {
        /// In one transaction.
        public var maximumRecords = 20_000
        /// Of the spool, in one transaction. Memory holds some four times as much.
        public var maximumBytes = 6 << 20
        /// How long a transaction should take at most. Batches become smaller when PostgreSQL is slow.
        public var targetDuration: Duration = .seconds(1)
        /// Between attempts while PostgreSQL is away, at most.
        public var maximumDelay: Duration = .seconds(5)

        public init() {}
    }

    private let spool: EventSpool
    private let client: PostgresClient
    private let configuration: Configuration
    private let logger: Logger
    private let progress: Mutex<Progress>
    private let metrics: DeliveryMetrics?

    private struct Progress {
        var state = DeliveryState.starting
        var batchSize: BatchSize
        /// Up to here one batch after the other: two that are under way at once have met somebody else's.
        var alone: UInt64 = 0
        /// As PostgreSQL has it.
        var ledger: LedgerSnapshot?
        /// A part of the spool was lost, so that the ledger counts too much as spooled.
        var hasLost = false
        /// The log says that events stay in the spool.
        var hasFailed = false
    }

    /// - Parameter client: two connections of its leases are used.
    public convenience init(
        _ spool: EventSpool, client: PostgresClient, configuration: Configuration = Configuration(), logger: Logger
    ) {
        self.init(spool, client: client, configuration: configuration, metrics: DeliveryMetrics(), logger: logger)
    }

    /// - Parameter metrics: nil for a spool that is not this process's own.
    init(
        _ spool: EventSpool, client: PostgresClient, configuration: Configuration, metrics: DeliveryMetrics?, logger: Logger
    ) {
        self.spool = spool
        self.client = client
        self.configuration = configuration
        self.metrics = metrics
        self.logger = logger
        let batchSize = BatchSize(maximum: configuration.maximumRecords, target: configuration.targetDuration)
        progress = Mutex(Progress(batchSize: batchSize))
    }

    public var state: DeliveryState { progress.withLock { $0.state } }

    /// How long the oldest event that is not stored has been waiting, to about a second.
    public var lag: Duration {
        spool.waitingTime(of: spool.position.withLock { $0.known })
    }

    // MARK: Running

    /// Delivers until graceful shutdown or cancellation. What is under way then may be stored or not; it stays in the spool, and
    /// the next delivery asks PostgreSQL.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            do {
                try await self.deliver(until: .cancelled)
            } catch {
                // The disk fails, and who hands events in is told so. To end here would end the process with all that it does
                // besides.
                while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
            }
        }
        publish()
    }

    /// Delivers all that is in the spool, and returns when PostgreSQL has it; waits while PostgreSQL is away.
    public func deliverAll() async throws {
        try await deliver(until: .empty)
    }

    enum End { case cancelled, empty }

    private func deliver(until end: End) async throws {
        var failures = 0
        while true {
            let before = spool.position.withLock { $0.known }
            do {
                return try await attempt(until: end)
            } catch {
                try Task.checkCancellation()
                if spool.position.withLock({ $0.known }) != before { failures = 0 }
                failures += 1
                note(error)
                publish()
                if let error = error as? SpoolError, error == .closed { throw error }
            }
            let ceiling = min(configuration.maximumDelay, .milliseconds(50) * (1 << min(failures, 10)))
            try await Task.sleep(for: ceiling * Double.random(in: 0.5...1))
        }
    }

    /// Delivers until the first error that the events are not to blame for.
    func attempt(until end: End) async throws {
        var reader = BatchReader(spool.spool, from: try await takeUp(), maximumBytes: configuration.maximumBytes)
        progress.withLock { $0.state = .delivering }
        try await withThrowingTaskGroup(of: Void.self) { group in
            var underWay = 0
            var last = Turn()
            last.come()
            while true {
                while underWay > 0, underWay == 2 || !mayRunAhead(reader) {
                    try await group.next()
                    underWay -= 1
                }
                guard let batch = try reader.batch(of: progress.withLock { $0.batchSize.limit }) else {
                    // Durable in the meantime, perhaps; otherwise nothing is under way.
                    guard underWay == 0 else { continue }
                    try await settleLedger(at: reader.next)
                    if end == .empty, spool.spool.end <= reader.next { return }
                    guard await spool.spool.waitForRecords(from: reader.next) else {
                        // Cancelled; or the spool was closed, perhaps because its disk fails.
                        try Task.checkCancellation()
                        throw SpoolError.closed
                    }
                    continue
                }
                let (before, turn) = (last, Turn())
                last = turn
                group.addTask {
                    try await self.store(batch, after: before)
                    turn.come()
                }
                underWay += 1
            }
        }
    }

    /// Whether there is so much to do that it is worth having two batches under way.
    private func mayRunAhead(_ reader: BatchReader) -> Bool {
        progress.withLock { progress in
            reader.next >= progress.alone && reader.holds(progress.batchSize.limit)
        }
    }

    // MARK: Taking up

    private var spoolID: UUIDBits { UUIDBits(high: spool.spool.id.high, low: spool.spool.id.low) }

    /// Asks PostgreSQL how far it has taken the spool in, and what became of that. Returns where to go on.
    private func takeUp() async throws -> UInt64 {
        let believed = spool.position.withLock { $0 }
        let (start, counts) = try await client.withTransaction { transaction in
            let row = try await transaction.execute(
                DeliveryStatements.takeUp(spoolID, Self.place(of: spool.folder), Int64(believed.known))).first
            let position = UInt64(clamping: try row?.decode(0) ?? 0 as Int64)
            let counts = try await Self.counts(in: transaction.execute(DeliveryStatements.ledger(spoolID)))
            let start = self.start(position, believed)
            if start != position {
                _ = try await transaction.execute(DeliveryStatements.setPosition(spoolID, Int64(start)))
            }
            return (start, counts)
        }
        if start != believed.known || !believed.isConfirmed {
            let range = min(start, believed.known)..<max(start, believed.known)
            let census = try SpoolCensus(of: spool.spool, range)
            spool.ledger.correct(counts, census.counts, sign: start > believed.known ? -1 : 1)
        }
        spool.position.withLock { $0 = StoredPosition(known: start, highest: start, isConfirmed: true) }
        progress.withLock { $0.ledger = nil }
        return start
    }

    /// Where to go on when PostgreSQL's position is not what we believe.
    private func start(_ position: UInt64, _ believed: StoredPosition) -> UInt64 {
        guard position <= believed.highest else {
            // The folder is a copy, or an older one that was put back. What was written to it since has positions that PostgreSQL
            // counts as stored. Storing an event again does nothing, so we store all that we do not know to be stored.
            logger.error(
                "PostgreSQL has taken in more from this spool than was in it: its folder was copied or restored",
                metadata: ["folder": "\(spool.folder)", "position": "\(position)", "expected": "\(believed.highest)"])
            spool.deadLetters.forgetPositions()
            return believed.known
        }
        let oldest = spool.spool.start
        if position < oldest {
            logger.error(
                "PostgreSQL has lost events that it had stored, and the spool has not got all of them any more",
                metadata: ["folder": "\(spool.folder)", "events": "\(oldest - position)"])
        }
        return max(position, oldest)
    }

    /// Nil if PostgreSQL has no ledger of this spool.
    private static func counts(in rows: QueryResult) throws -> PerInput<LedgerCounts>? {
        guard rows.count > 0 else { return nil }
        var counts = PerInput(repeating: LedgerCounts())
        for row in rows {
            guard let input = Input?(ledgerName: try row.decode(0)) else { continue }
            counts[input] = LedgerCounts(stored: try row.decode(1), duplicates: try row.decode(2), deadLettered: try row.decode(3))
        }
        return counts
    }

    private static func place(of folder: String) -> String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } + ":" + folder
    }

    // MARK: Storing

    private enum Method { case copying, merging }

    /// Stores a batch when the one before it is stored, however many transactions that takes.
    private func store(_ batch: DeliveryBatch, after before: Turn) async throws {
        do {
            try await commit(batch, by: .copying, after: before)
        } catch {
            guard let refusal = Refusal(error, of: batch, whenMerging: false) else { throw error }
            try await before.wait()
            try await store(batch, despite: refusal)
        }
        publish()
    }

    private func store(_ batch: DeliveryBatch, despite refusal: Refusal) async throws {
        switch refusal {
        case .duplicates:
            try await store(batch, by: .merging)
        case .poison(let reason) where batch.events.count == 1:
            logger.warning("PostgreSQL refuses an event; it is among the dead letters", metadata: ["reason": "\(reason)"])
            try await store(batch.refused(for: reason), by: .copying)
        case .poison:
            for half in batch.halves { try await store(half, by: .copying) }
        }
    }

    private func store(_ batch: DeliveryBatch, by method: Method) async throws {
        do {
            try await commit(batch, by: method, after: nil)
        } catch {
            guard let refusal = Refusal(error, of: batch, whenMerging: method == .merging) else { throw error }
            try await store(batch, despite: refusal)
        }
    }

    /// Stores a batch in one transaction.
    private func commit(_ batch: DeliveryBatch, by method: Method, after before: Turn?) async throws {
        var duration = Duration.zero
        var began = ContinuousClock.now
        do {
            let (outcome, ledger) = try await client.withTransaction { transaction in
                let stored: PerInput<Int>
                switch method {
                case .copying:
                    try await DeliveryStatements.copy(batch, in: transaction)
                    stored = batch.eventCounts
                case .merging:
                    stored = try await DeliveryStatements.merge(batch, in: transaction)
                }
                duration += ContinuousClock.now - began
                try await before?.wait()
                began = .now
                try await spool.deadLetters.append(batch.deadLetters)
                let outcome = batch.outcome(stored: stored)
                let ledger = spool.ledger.snapshot(after: outcome)
                spool.position.withLock { $0.highest = batch.positions.upperBound }
                let moved = try await transaction.execute(DeliveryStatements.move(spoolID, batch.positions, ledger))
                guard moved.affectedRows > 0 else { throw PositionMoved() }
                return (outcome, ledger)
            }
            duration += ContinuousClock.now - began
            finish(batch, outcome, ledger, duration)
        } catch {
            giveWay(to: error, batch)
            throw error
        }
    }

    private func finish(_ batch: DeliveryBatch, _ outcome: PerInput<LedgerCounts>, _ ledger: LedgerSnapshot, _ duration: Duration) {
        spool.ledger.settle(outcome)
        spool.position.withLock { $0.known = batch.positions.upperBound }
        let recovered = progress.withLock { progress in
            progress.ledger = ledger
            progress.batchSize.note(batch.count, took: duration)
            if outcome[nil].received > 0 { progress.hasLost = true }
            defer { progress.hasFailed = false }
            return progress.hasFailed
        }
        if recovered { logger.info("delivering events again", metadata: ["folder": "\(spool.folder)"]) }
        spool.release(before: batch.positions.upperBound, counts: spool.ledger.settled)
        metrics?.batchDuration.recordNanoseconds(duration.wholeNanoseconds)
    }

    private func giveWay(to error: any Error, _ batch: DeliveryBatch) {
        guard let error = error as? PostgresError else { return }
        progress.withLock { progress in
            if error.isContention { progress.alone = max(progress.alone, batch.positions.upperBound) }
            if error.kind == .timedOut { progress.batchSize.noteTimeout() }
        }
    }

    /// There is nothing to deliver. What the ledger has learnt since the last batch is written too.
    private func settleLedger(at position: UInt64) async throws {
        spool.releaseRest()
        guard spool.spool.end == position else { return }
        let hadLost = progress.withLock { progress in
            defer { progress.hasLost = false }
            return progress.hasLost
        }
        if hadLost { spool.ledger.noteEmptySpool() }
        let ledger = spool.ledger.snapshot()
        guard !ledger.lines.isEmpty, progress.withLock({ $0.ledger != ledger }) else { return }
        let moved = try await client.write(DeliveryStatements.move(spoolID, position..<position, ledger))
        guard moved.affectedRows > 0 else { throw PositionMoved() }
        progress.withLock { $0.ledger = ledger }
        publish()
    }

    // MARK: Telling

    /// Says once that delivery has to wait, and why.
    private func note(_ error: any Error) {
        if let error = error as? PostgresError, error.isContention {
            logger.debug("another daemon stores the same events; trying again", metadata: ["error": "\(error)"])
            return
        }
        let isNew = progress.withLock { progress in
            defer { progress.hasFailed = true }
            if case .waiting(_, let since) = progress.state {
                progress.state = .waiting(reason: "\(error)", since: since)
            } else {
                progress.state = .waiting(reason: "\(error)", since: .now())
            }
            return !progress.hasFailed
        }
        guard isNew else { return }
        logger.warning(
            "cannot deliver events; they stay in the spool", metadata: ["folder": "\(spool.folder)", "error": "\(error)"])
    }

    private func publish() {
        metrics?.publish(spool.ledger.snapshot(), spoolBytes: spool.spool.bytesOnDisk, lag: lag)
    }
}

/// PostgreSQL has another position for the spool than we believe.
private struct PositionMoved: Error, CustomStringConvertible {
    var description: String { "the spool's position in PostgreSQL has changed" }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
