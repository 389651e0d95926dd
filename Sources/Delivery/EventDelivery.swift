import Domain
import Logging
import Postgres
import ServiceLifecycle
import Spool
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
        public var maximumRecords = 30_000
        /// Of the spool, in one transaction. Memory holds some four times as much.
        public var maximumBytes = 6 << 20
        /// How long a transaction should take at most. Batches become smaller when PostgreSQL is slow.
        public var targetDuration: Duration = .seconds(1)
        /// Between attempts while PostgreSQL is away, at most.
        public var maximumDelay: Duration = .seconds(5)

        public init() {}
    }

    let spool: EventSpool
    let client: PostgresClient
    let configuration: Configuration
    let logger: Logger
    let progress: Mutex<Progress>
    let metrics: DeliveryMetrics?

    struct Progress {
        var state = DeliveryState.starting
        var batchSize: BatchSize
        /// Up to here one batch after the other: two that are under way at once have met somebody else's.
        var alone: UInt64 = 0
        /// As PostgreSQL has it.
        var ledger: LedgerSnapshot?
        /// A part of the spool was lost, so that the ledger counts too much as spooled.
        var hasLost = false
        /// When the log was last told that PostgreSQL refuses events.
        var toldOfRefusals: ContinuousClock.Instant?
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
                if let error = error as? SpoolError, error == .closed { throw error }
            }
            let ceiling = min(configuration.maximumDelay, .milliseconds(50) * (1 << min(failures, 10)))
            try await Task.sleep(for: ceiling * Double.random(in: 0.5...1))
        }
    }

    /// Delivers until the first error that the events are not to blame for.
    func attempt(until end: End) async throws {
        var reader = BatchReader(spool.spool, from: try await takeUp(), maximumBytes: configuration.maximumBytes)
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

    // MARK: Telling

    /// Says once that delivery has to wait, and why.
    private func note(_ error: any Error) {
        if let error = error as? PostgresError, error.isContention {
            logger.debug("another daemon stores the same events; trying again", metadata: ["error": "\(error)"])
            return
        }
        let isNew = progress.withLock { progress in
            guard case .waiting(_, let since) = progress.state else {
                progress.state = .waiting(reason: "\(error)", since: .now())
                return true
            }
            progress.state = .waiting(reason: "\(error)", since: since)
            return false
        }
        guard isNew else { return }
        logger.warning(
            "cannot deliver events; they stay in the spool", metadata: ["folder": "\(spool.folder)", "error": "\(error)"])
    }

    func noteSuccess() {
        let before = progress.withLock { progress in
            defer { progress.state = .delivering }
            return progress.state
        }
        if case .waiting = before { logger.info("delivering events again", metadata: ["folder": "\(spool.folder)"]) }
    }

    /// Says so once a minute: there may be thousands.
    func noteRefusal(_ reason: String) {
        let now = ContinuousClock.now
        let isDue = progress.withLock { progress in
            if let told = progress.toldOfRefusals, now - told < .seconds(60) { return false }
            progress.toldOfRefusals = now
            return true
        }
        guard isDue else { return }
        logger.warning("PostgreSQL refuses events; they are among the dead letters", metadata: ["reason": "\(reason)"])
    }

    /// Brings the gauges of the spool up to date. To be called before they are read.
    public func publishMetrics() {
        metrics?.publish(spool.ledger.snapshot(), of: spool.spool, lag: lag)
    }
}
