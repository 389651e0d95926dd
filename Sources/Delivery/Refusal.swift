import Postgres

/// Why PostgreSQL does not store a batch, as far as the reason is in the events.
///
/// For any other error, those of connections, of full disks, of missing rights and tables, the batch waits in the spool.
enum Refusal {
    /// Some are stored already.
    case duplicates
    /// One at least can never be stored: no contents in the reason.
    case poison(reason: String)

    /// Nil if the events are not to blame.
    ///
    /// - Parameter whenMerging: duplicates had been passed over.
    init?(_ error: any Error, of batch: DeliveryBatch, whenMerging: Bool) {
        // The position's and the ledger's own constraints are about us.
        guard let error = error as? PostgresError, error.kind == .server, let state = error.sqlState,
            !batch.events.isEmpty, error.statement != DeliveryStatements.move.name
        else { return nil }
        if state == .uniqueViolation, !whenMerging {
            self = .duplicates
            return
        }
        // A violated constraint without a name is a partition's: one was attached while the statement ran, and at the next attempt
        // the events go there.
        if state.rawValue == "23514", error.constraint == nil { return nil }
        switch state.rawValue.prefix(2) {
        // Data exceptions, violated constraints, what triggers raise, limits as those of index rows, views' conditions.
        case "22", "23", "P0", "54", "44":
            let constraint = error.constraint.map { ", constraint \($0)" } ?? ""
            self = .poison(reason: "PostgreSQL refuses it: SQLSTATE \(state.rawValue)\(constraint)")
        default: return nil
        }
    }
}

extension PostgresError {
    /// Somebody else was storing the same events, and one of the two had to give way.
    var isContention: Bool {
        sqlState == .serializationFailure || sqlState == .deadlockDetected || sqlState == .lockNotAvailable
    }
}
