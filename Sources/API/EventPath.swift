// Waits for Delivery's EventDelivery and SpooledReporter; the whole file is ready (own-events).
import Delivery
import Domain
import Reporting
import ServiceLifecycle
import Wire

struct EventPath: Sendable {
    let log: SecurityLog
    let spool: EventSpool
    let services: [any Service]

    func writeState(to writer: inout JSONWriter) { writer.null() }
}
