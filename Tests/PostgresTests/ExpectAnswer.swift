import Postgres
import Testing

/// Shows that a client, a connection or a transaction is in working order.
func expectAnswer(from executor: some StatementExecutor) async throws {
    #expect(try await executor.execute(Statement("test.one", "SELECT 1::bigint")()).first?.decode(0) == 1)
}
