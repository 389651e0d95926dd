import Postgres

/// What somebody does who does not get the lead at once.
enum LeadershipPolicy {
    case standBy
    /// Whoever leads gives it up between two turns.
    case wait
}

extension PostgresClient {
    /// Runs `body` in a transaction, unless another aggregator is in one of these; then gives nil.
    ///
    /// The lock is the transaction's, so it works behind a pooler, and PostgreSQL gives it back when a leader dies.
    func asLeader<Value>(
        _ policy: LeadershipPolicy = .standBy, _ body: (Transaction) async throws -> Value
    ) async throws -> Value? {
        try await withTransaction { transaction in
            switch policy {
            case .standBy:
                guard try await transaction.execute(Self.tryLock(Self.leaderKey)).first?.decode(0) == true else { return nil }
            case .wait:
                _ = try await transaction.execute(Self.lock(Self.leaderKey))
            }
            _ = try await transaction.execute(Self.prepare())
            return try await body(transaction)
        }
    }

    /// "attunemt" in ASCII.
    private static let leaderKey: Int64 = 0x6174_7475_6e65_6d74

    private static let tryLock = Statement("aggregation.try_lock", "SELECT pg_try_advisory_xact_lock($1)")
    private static let lock = Statement("aggregation.lock", "SELECT pg_advisory_xact_lock($1)")

    /// Sums of days and weeks are in UTC. A leader that dies in the midst of a long statement, or stops answering, is to be found
    /// out.
    private static let prepare = Statement(
        "aggregation.prepare",
        """
        SELECT set_config('TimeZone', 'UTC', true), set_config('client_connection_check_interval', '1s', true),
            set_config('idle_in_transaction_session_timeout', '20s', true), set_config('work_mem', '256MB', true),
            set_config('jit', 'off', true)
        """)
}
