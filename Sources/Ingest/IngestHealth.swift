import Delivery
import Synchronization

/// How the daemon is, for its pages.
final class IngestHealth: Sendable {
    private struct State {
        /// Inputs that are to take events and do not yet.
        var inputsToCome = 0
        var isDraining = false
        var schemaProblem: String? = "the database has not answered yet"
    }

    let spool: EventSpool
    let delivery: EventDelivery
    private let state = Mutex(State())

    init(spool: EventSpool, delivery: EventDelivery) {
        self.spool = spool
        self.delivery = delivery
    }

    /// Events are taken on all ways.
    var isReady: Bool { state.withLock { $0.inputsToCome == 0 && !$0.isDraining } }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// Why nothing is stored in PostgreSQL at the moment; nil when it is.
    var databaseProblem: String? {
        if let problem = state.withLock({ $0.schemaProblem }) { return problem }
        guard case .waiting(let reason, _) = delivery.state else { return nil }
        return reason
    }

    func expectInput() { state.withLock { $0.inputsToCome += 1 } }

    func inputIsListening() { state.withLock { $0.inputsToCome -= 1 } }

    func startDraining() { state.withLock { $0.isDraining = true } }

    func setSchemaProblem(_ problem: String?) { state.withLock { $0.schemaProblem = problem } }
}
