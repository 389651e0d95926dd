import Postgres
import Synchronization

/// Tells the statement that ended a shared transaction from those that failed because it had ended.
final class TransactionOutcome: Sendable {
    private let ended = Mutex(false)

    func note(_ error: PostgresError) {
        // Timed out statements are cancelled by the server, which ends the transaction too.
        guard let state = error.sqlState, state != .inFailedTransaction, error.kind != .connectionLost else { return }
        ended.withLock { $0 = true }
    }

    var hasEnded: Bool { ended.withLock { $0 } }
}
