// Watch looks after the stored security events: it counts them, finds what several of them together mean, makes and drops their
// partitions, and has live queries follow what changes by time alone. docs/security-events.md describes it.
import Domain
import Logging
import Metrics
import Postgres
import Rules
import ServiceLifecycle
import Store

/// The daemon's work on stored events. Any number of daemons may do it at once: each piece is a transaction under one lock.
public struct Watch: Service {
    private let database: PostgresClient
    private let rules: [DetectionRule]
    private let configuration: WatchConfiguration
    private let logger: Logger

    /// - Parameter database: its statement timeout should be minutes, since the rows of one transaction are counted by one
    ///   statement, however many they are.
    public init(database: PostgresClient, rules: [DetectionRule], configuration: WatchConfiguration, logger: Logger) {
        self.database = database
        self.rules = rules
        self.configuration = configuration
        self.logger = logger
    }

    /// Works until graceful shutdown. While PostgreSQL is away it waits.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var turn = WatchTurn(database: database, rules: rules, configuration: configuration, logger: logger)
            var hasFailed = false
            while !Task.isCancelled {
                let start = ContinuousClock.now
                var isBehind = false
                do {
                    isBehind = try await turn.run()
                    hasFailed = false
                } catch {
                    if !hasFailed, !Task.isCancelled {
                        logger.warning("watching security events failed; trying again", metadata: ["error": "\(error)"])
                    }
                    hasFailed = true
                }
                // In a flood a fifth of the time goes into this, and four fifths are left to those who store.
                let rest = (ContinuousClock.now - start) * 4
                try? await Task.sleep(for: isBehind ? rest : max(rest, configuration.pause))
            }
        }
    }
}

/// What is done between two pauses.
struct WatchTurn {
    private let database: PostgresClient
    private let configuration: WatchConfiguration
    private let logger: Logger
    private let counting = EventCounting()
    private let counted = Counter(label: "attune_security_events_counted_total")
    private var detections: Detections
    private let partitions: PartitionUpkeep
    /// What live queries have been told of.
    private var announced: (level: SecurityLevel, hour: Instant)?
    /// When months and keys are looked at next.
    private var nextRound = ContinuousClock.now
    /// When events may be moved to a partition again after that has failed.
    private var nextMove = ContinuousClock.now

    init(database: PostgresClient, rules: [DetectionRule], configuration: WatchConfiguration, logger: Logger) {
        self.database = database
        self.configuration = configuration
        self.logger = logger
        detections = Detections(rules: rules, logger: logger)
        partitions = PartitionUpkeep(retentionDays: configuration.retentionDays, logger: logger)
    }

    /// Gives whether there is more to do at once.
    mutating func run() async throws -> Bool {
        let state = try await WatchState(in: database, seen: detections.seen, retentionDays: configuration.retentionDays)
        if announced == nil || announced! != (state.level, state.hour) {
            _ = try await database.write(Announcement.statement())
            announced = (state.level, state.hour)
        }
        // Detection comes first: people wait for it.
        var isBehind = false
        if !detections.isIdle, state.hasNewEvents { isBehind = try await detections.lookAtPortion(in: database) }
        if !detections.pending.isEmpty { try await detections.raise(in: database) }
        if state.hasForeignEvents, let changed = try await counting.renumberPortion(in: database) {
            logger.info("took over events of a restored database", metadata: ["rows": "\(changed)"])
            isBehind = true
        }
        if state.hasUncountedEvents, let counted = try await counting.countPortion(in: database) {
            self.counted.increment(by: counted)
            isBehind = isBehind || counted >= EventCounting.portionSize
        }
        if ContinuousClock.now >= nextRound {
            let isDone = await succeeds { try await partitions.keepMonths(in: database) }
            let keys = try await partitions.deleteKeys(in: database)
            isBehind = isBehind || keys >= PartitionUpkeep.portionSize
            nextRound = .now + (keys >= PartitionUpkeep.portionSize ? .zero : isDone ? .seconds(600) : .seconds(60))
        }
        if let moment = state.strayEvent, ContinuousClock.now >= nextMove {
            if await succeeds({ try await partitions.makePartition(of: moment, in: database) }) {
                isBehind = true
            } else {
                nextMove = .now + .seconds(60)
            }
        }
        if state.hasExpiredEvents {
            let deleted = try await partitions.deleteExpired(in: database)
            isBehind = isBehind || deleted >= PartitionUpkeep.portionSize
        }
        return isBehind
    }

    /// Changes of partitions may have to wait for others, or find something in their way. The rest goes on meanwhile.
    private func succeeds(_ change: () async throws -> Bool) async -> Bool {
        do {
            return try await change()
        } catch {
            if !Task.isCancelled {
                logger.warning(
                    "cannot change the partitions of security events; trying again in a minute", metadata: ["error": "\(error)"])
            }
            return false
        }
    }
}
