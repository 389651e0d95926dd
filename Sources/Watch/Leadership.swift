import Postgres

extension PostgresClient {
    /// Runs `body` in a transaction, unless another daemon is in one of these; then gives nil.
    ///
    /// The lock is the transaction's, so it works behind a pooler and needs no giving back.
    func asLeader<Value>(_ body: (Transaction) async throws -> Value) async throws -> Value? {
        try await withTransaction { transaction in
            guard try await transaction.execute(Self.lock(Self.leaderKey)).first?.decode(0) == true else { return nil }
            return try await body(transaction)
        }
    }

    /// "attunewa" in ASCII.
    private static let leaderKey: Int64 = 0x6174_7475_6e65_7761

    private static let lock = Statement("watch.lock", "SELECT pg_try_advisory_xact_lock($1)")
}
