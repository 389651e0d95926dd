import Delivery
import Domain
import Glibc
import Logging
import Postgres
import Reporting
import ServiceLifecycle
import Spool
import Usage
import Wire

/// How the worker's own security events get into the table: a report goes into a spool on the disk, which costs the caller one
/// `write`, and a service brings what is in the spool to PostgreSQL. So an event survives the worker's sudden end, and waits while
/// PostgreSQL is away. When the spool is full, requests go on; how many events were lost meanwhile becomes an event.
struct EventPath: Sendable {
    let log: SecurityLog
    let spool: EventSpool
    private let delivery: EventDelivery
    /// In the order in which they start; to be stopped after all others.
    let services: [any Service]

    /// Opens the worker's spool.
    ///
    /// - Parameters:
    ///   - port: names the spool. If another process has that one, it is one with a name of its own; any daemon of the data folder
    ///     brings to PostgreSQL what is left in it one day.
    ///   - budget: bytes on disk.
    ///   - database: two connections of its leases are used.
    init(
        dataFolder: String, port: Int, budget: Int, database: PostgresClient, logger: Logger
    ) throws(SpoolError) {
        let spool = try Self.openSpool(SpoolFolders(dataFolder: dataFolder).api(port: port), budget: budget, logger: logger)
        let delivery = EventDelivery(spool, client: database, logger: logger)
        let source = "attune:api/\(HostLoad.hostName)/\(port)"
        let reporter = SpooledReporter(Intake(spool), source: source, logger: logger)
        log = SecurityLog(source: source, reporter: reporter)
        self.spool = spool
        self.delivery = delivery
        services = [delivery, LastDelivery(ledger: spool.ledger), reporter, LogService(log: log)]
    }

    /// Brings the gauges of the spool up to date.
    func publishMetrics() { delivery.publishMetrics() }

    /// For the health page: `{"storing": true, "ledger": {…}}`, or why nothing is stored at the moment.
    func writeState(to writer: inout JSONWriter) {
        writer.beginObject()
        if case .waiting(let reason, _) = delivery.state {
            writer.key("storing")
            writer.bool(false)
            writer.key("problem")
            writer.string(reason)
        } else {
            writer.key("storing")
            writer.bool(true)
        }
        writer.key("ledger")
        spool.ledger.snapshot().write(to: &writer)
        writer.endObject()
    }

    private static func openSpool(_ folder: String, budget: Int, logger: Logger) throws(SpoolError) -> EventSpool {
        var attempt = 0
        while true {
            do {
                let own = attempt == 0 ? folder : "\(folder)-\(getpid())-\(attempt)"
                return try EventSpool(folder: own, budget: budget, logger: logger)
            } catch .inUse where attempt < 100 {
                attempt += 1
            }
        }
    }
}

/// Says when the worker starts and stops, and adds up floods.
private struct LogService: Service {
    let log: SecurityLog

    func run() async throws {
        log.report(SecurityEventType.startup, .low, "An API worker started.")
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(5))
                log.reportSummaries()
            }
        }
        log.finish()
        log.report(SecurityEventType.shutdown, .low, "An API worker stopped.")
    }
}

/// When the worker stops, lets its last events arrive. What PostgreSQL does not take soon stays in the spool.
private struct LastDelivery: Service {
    let ledger: Ledger

    private static let patience = Duration.seconds(2)

    func run() async throws {
        try? await gracefulShutdown()
        let deadline = ContinuousClock.now + Self.patience
        while ledger.snapshot().total.spooled > 0, ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
