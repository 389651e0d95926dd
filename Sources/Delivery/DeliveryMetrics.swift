import Events
import Metrics
import Spool

/// The figures of a process's own spool.
struct DeliveryMetrics: Sendable {
    let batchDuration = Metrics.Timer(label: "attune_ingest_batch_duration")
    private let spoolBytes = Gauge(label: "attune_ingest_spool_bytes")
    private let spoolBudget = Gauge(label: "attune_ingest_spool_budget_bytes")
    private let availableBytes = Gauge(label: "attune_ingest_spool_disk_available_bytes")
    private let lag = Gauge(label: "attune_ingest_lag_seconds")
    /// The ledger.
    private let stored = Self.gauges("stored")
    private let duplicates = Self.gauges("duplicate")
    private let deadLettered = Self.gauges("dead_lettered")
    private let spooled = Self.gauges("spooled")

    private static func gauges(_ outcome: String) -> PerInput<Gauge> {
        PerInput { input in
            Gauge(label: "attune_ingest_events", dimensions: [("input", input.ledgerName), ("outcome", outcome)])
        }
    }

    func publish(_ ledger: LedgerSnapshot, of spool: Spool, lag: Duration) {
        spoolBytes.record(spool.bytesOnDisk)
        spoolBudget.record(spool.budget)
        if let available = spool.availableBytes { availableBytes.record(available) }
        self.lag.record(lag / .seconds(1))
        for line in ledger.lines {
            guard let input = Input?(ledgerName: line.input) else { continue }
            stored[input].record(line.counts.stored)
            duplicates[input].record(line.counts.duplicates)
            deadLettered[input].record(line.counts.deadLettered)
            spooled[input].record(line.counts.spooled)
        }
    }
}
