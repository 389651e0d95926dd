import Delivery
import Status
import Wire

extension IngestHealth {
    /// Ready while events are taken, also when PostgreSQL is away: then they wait on the disk.
    func report() -> ReadinessReport {
        ReadinessReport(isReady: isReady) { writer in
            writer.field("draining")
            writer.bool(isDraining)
            writer.field("database")
            writeDatabase(to: &writer)
            writer.field("spool")
            writer.beginObject()
            writer.field("bytes")
            writer.integer(spool.spool.bytesOnDisk)
            writer.field("budget")
            writer.integer(spool.spool.budget)
            writer.endObject()
            writer.field("lagMilliseconds")
            writer.integer(Int(delivery.lag / .milliseconds(1)))
            writer.field("ledger")
            spool.ledger.snapshot().write(to: &writer)
        }
    }

    private func writeDatabase(to writer: inout JSONWriter) {
        let problem = databaseProblem
        writer.beginObject()
        writer.field("storing")
        writer.bool(problem == nil)
        if let problem {
            writer.field("problem")
            writer.string(problem)
        }
        writer.endObject()
    }
}
