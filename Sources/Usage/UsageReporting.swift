import Domain
import Logging
import Metrics
import Postgres
import ServiceLifecycle
import Store

/// Stores what a meter has noted, every few seconds, and how busy the host is.
///
/// Each fact is stored once: a report is one transaction, and is tried again under its number until it is known to be stored. Only
/// what is not stored when the process ends, because PostgreSQL is away, is lost.
public actor UsageReporting: Service {
    private let meter: UsageMeter
    private let database: PostgresClient
    private let period: Duration
    private let logger: Logger
    private var book: ReportBook
    private var isFailing = false

    private let failures = Counter(label: "attune_usage_reports_failed_total")
    private let lostFacts = Counter(label: "attune_usage_facts_lost_total")

    /// How long the last report may take.
    private static let patience = Duration.seconds(3)

    /// - Parameter database: a connection of its leases is used, not those of the requests: a report may have to wait for a lock.
    public init(meter: UsageMeter, database: PostgresClient, period: Duration = .seconds(5), logger: Logger) {
        self.meter = meter
        self.database = database
        self.period = period
        self.logger = logger
        book = ReportBook(worker: .random(), maximumSessions: meter.maximumSessions)
    }

    /// Reports until graceful shutdown, and then what is left. Whoever notes calls has to be stopped before.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: self.period)
                if !Task.isCancelled { await self.report() }
            }
        }
        await withTaskGroup { group in
            group.addTask { await self.report(isLast: true) }
            group.addTask { try? await Task.sleep(for: Self.patience) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Stores what has been noted until now, as far as it is due, and what waits from before.
    ///
    /// - Parameter isLast: everything is due.
    func report(isLast: Bool = false, now: Instant = .now()) async {
        book.add(meter.take(), at: now)
        if isLast { book.closeForGood() } else { book.close() }
        do {
            try await store()
            if isFailing { logger.info("storing what clients call again") }
            isFailing = false
        } catch {
            failures.increment()
            if !isFailing {
                logger.warning("cannot store what clients call; it is kept meanwhile", metadata: ["error": "\(error)"])
            }
            isFailing = true
        }
        lostFacts.increment(by: book.takeLost())
    }

    private func store() async throws {
        var host = HostLoad.current().map { [$0.storing] } ?? []
        while !host.isEmpty || book.next != nil {
            let report = book.next
            // The host's row last: other workers may be waiting for it.
            let statements = (report.map(UsageStore.storing) ?? []) + host
            _ = try await database.withConnection { try await $0.execute(statements) }
            host = []
            if report != nil { book.noteStored() }
            // What came while others waited.
            book.close()
        }
    }
}
