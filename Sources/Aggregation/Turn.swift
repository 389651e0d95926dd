import Domain
import Logging
import Metrics
import Postgres

/// What an aggregator does between two pauses: counts what is new, brings the results up to date, and deletes what is too old.
struct Turn {
    /// What came of it.
    enum Outcome: Equatable {
        /// Another one is at it, or somebody deletes messages or accounts and holds the sums until their transaction ends.
        case standsBy
        /// There is more to count at once if `isBehind`.
        case led(FactCounts, isBehind: Bool)
    }

    private let database: PostgresClient
    private let configuration: AggregatorConfiguration
    private let logger: Logger
    private var accounts = Pace()
    private var storage = Pace(interval: .seconds(30))
    private var analytics = Pace(interval: .seconds(10))
    private var deletion = Pace(interval: .seconds(60))
    /// Of the last one that led, from the end of its pause.
    private(set) var duration = Duration.zero

    init(database: PostgresClient, configuration: AggregatorConfiguration, logger: Logger) {
        self.database = database
        self.configuration = configuration
        self.logger = logger
    }

    /// - Parameters:
    ///   - pause: waits so long with the lead in hand, so that one of several leads until it ends, and the others see at once when
    ///     it does.
    ///   - isThorough: waits for the lead, and brings all results up to date, also those that need not be yet.
    mutating func run(after pause: Duration = .zero, isThorough: Bool = false) async throws -> Outcome {
        var turn = self
        let outcome = try await database.asLeader(isThorough ? .wait : .standBy) { transaction in
            if pause > .zero { try await Task.sleep(for: pause) }
            let start = ContinuousClock.now
            defer { turn.duration = .now - start }
            return try await turn.count(in: transaction, isThorough: isThorough)
        }
        guard let outcome else { return .standsBy }
        self = turn
        return outcome
    }

    private mutating func count(in transaction: Transaction, isThorough: Bool) async throws -> Outcome {
        guard let progress = try await Progress.lock(in: transaction, retentionDays: configuration.retentionDays) else {
            return .standsBy
        }
        guard progress.isOurs else {
            try await takeOver(progress, in: transaction)
            return .led(FactCounts(), isBehind: true)
        }
        let (counted, isBehind) = try await Self.count(after: progress, in: transaction)
        if !isBehind {
            try await deleteOldRows(in: transaction, isThorough: isThorough)
            try await updateResults(in: transaction, isThorough: isThorough)
        }
        return .led(counted, isBehind: isBehind)
    }

    /// Counts the next portion, and gives whether there is more. The progress is kept in the same transaction, so nothing is
    /// counted twice.
    static func count(after progress: Progress, in transaction: Transaction) async throws -> (FactCounts, isBehind: Bool) {
        let portion = Portion(after: progress.seen, in: progress.present)
        let results = try await transaction.execute([
            Progress.useIndexes(true),
            RowSums.addMessages(portion), RowSums.addUsers(portion), Visits.merge(portion, factsSince: progress.factsSince),
            CallSums.add(portion, factsSince: progress.factsSince),
        ])
        let numbers = try results.dropFirst().map { try $0.first?.decode(0, as: Int.self) ?? 0 }
        let counted = FactCounts(messages: numbers[0], users: numbers[1], activity: numbers[2], calls: numbers[3])
        if counted.activity > 0 { _ = try await transaction.execute(ActiveUsers.add(portion, factsSince: progress.factsSince)) }
        // Only now that all which was stored while nobody counted is in.
        let factsSince = portion.isPart ? progress.factsSince : max(progress.factsSince, progress.retentionBegin)
        // An idle installation writes nothing.
        if counted.total > 0 || portion.isPart || factsSince != progress.factsSince {
            _ = try await transaction.execute(Progress.advance(to: portion.until, factsSince: factsSince))
        }
        return (counted, isBehind: portion.isPart)
    }

    private mutating func updateResults(in transaction: Transaction, isThorough: Bool) async throws {
        let start = ContinuousClock.now
        let countsAccounts = isThorough || accounts.isDue
        let measuresStorage = isThorough || storage.isDue
        let row = try await transaction.execute([
            Progress.useIndexes(false),
            SystemMetricsResult.update(countsAccounts: countsAccounts, measuresStorage: measuresStorage),
        ])[1].first
        let middle = ContinuousClock.now
        if countsAccounts { accounts.hasRun(for: middle - start) }
        if measuresStorage { storage.hasRun(for: middle - start) }
        if let row {
            Gauge(label: "attune_database_size_bytes").record(try row.decode(0, as: Int.self))
            let level: SecurityLevel = try row.decode(1)
            Gauge(label: "attune_security_level").record(SecurityLevel.allCases.firstIndex(of: level)!)
        }
        if isThorough || analytics.isDue {
            _ = try await transaction.execute(UserAnalyticsResult.update())
            analytics.hasRun(for: .now - middle)
        }
    }

    private mutating func deleteOldRows(in transaction: Transaction, isThorough: Bool) async throws {
        guard isThorough || deletion.isDue else { return }
        let start = ContinuousClock.now
        // If that was not all, it goes on in the next turn.
        if try await Retention.deletePortion(in: transaction) { deletion.hasRun(for: .now - start) }
    }

    /// In a database that was restored from a dump nothing counts as counted.
    private func takeOver(_ progress: Progress, in transaction: Transaction) async throws {
        let changed = try await CountingAnew.renumberPortion(beyond: progress.present, in: transaction)
        if changed > 0 {
            logger.info("took over rows of a restored database", metadata: ["rows": "\(changed)"])
        } else {
            logger.notice("counting everything anew, since the database was restored")
            try await CountingAnew.forget(in: transaction)
        }
    }
}
