import Postgres

/// A client's reading pipelines, as an executor for store functions that only read.
public struct ReadingExecutor: StatementExecutor {
    let client: PostgresClient

    public func execute(_ statement: BoundStatement) async throws(PostgresError) -> QueryResult {
        try await client.read(statement)
    }
}

extension PostgresClient {
    public var reading: ReadingExecutor { ReadingExecutor(client: self) }
}
