import Domain
import Synchronization

/// What a run counts.
final class Statistics: Sendable {
    struct Figures: Sendable {
        var connections = 0
        var exactTransitions = 0
        var weakTransitions = 0
        var resultsChecked = 0
        var mutationsAcknowledged = 0
        var commits = 0
        var signOuts = 0
        var faults: [String: Int] = [:]
        /// How long sockets kept an identity that had ended, without a fault near; in milliseconds.
        var identityLosses: [Double] = []
    }

    private let figures = Mutex(Figures())

    func count(_ change: (inout Figures) -> Void) { figures.withLock { change(&$0) } }

    var current: Figures { figures.withLock { $0 } }
}
