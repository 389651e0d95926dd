import Postgres
import TestSupport
import Testing

@Suite("Cancelling a task", .scratchDatabase(.empty))
struct CancellationTests {
    let client = ScratchDatabase.current.makeClient { $0.leases = 1 }

    /// How many sessions of this database run a statement with this text.
    private func running(_ text: String) async throws -> Int {
        let count = Statement(
            "test.running",
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()
            """)
        return try await #require(client.read(count("%\(text)%")).first).decode(0)
    }

    @Test(
        "cancels the statement on a lent connection, and the pool stays usable",
        arguments: ["statement", "script", "transaction"])
    func cancelsStatement(form: String) async throws {
        for _ in 0..<3 {
            let task = Task { [client] in
                try await client.withConnection { connection in
                    switch form {
                    case "statement": _ = try await connection.execute(Statement("test.sleep", "SELECT pg_sleep(3600)")())
                    case "script": try await connection.runScript("SELECT pg_sleep(3600)", name: "test.sleep")
                    default:
                        try await connection.withTransaction {
                            _ = try await $0.execute(Statement("test.sleep", "SELECT pg_sleep(3600)")())
                        }
                    }
                }
            }
            try await eventually("the statement runs") { try await running("pg_sleep(3600)") == 1 }
            task.cancel()
            let error = await #expect(throws: PostgresError.self) { try await task.value }
            #expect(error?.kind == .cancelled)
            try await eventually("the statement is gone") { try await running("pg_sleep(3600)") == 0 }
            try await client.withTransaction { transaction in
                try await expectAnswer(from: transaction)
            }
        }
    }

    @Test("rolls its transaction back")
    func rollsBack() async throws {
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n bigint)")())
        let task = Task { [client] in
            try await client.withTransaction { transaction in
                _ = try await transaction.execute(Statement("test.insert", "INSERT INTO t (n) VALUES (1)")())
                _ = try await transaction.execute(Statement("test.sleep", "SELECT pg_sleep(3600)")())
            }
        }
        try await eventually("the statement runs") { try await running("pg_sleep(3600)") == 1 }
        task.cancel()
        await #expect(throws: PostgresError.self) { try await task.value }
        // Not even locked any more.
        _ = try await client.write(Statement("test.drop", "DROP TABLE t")())
    }

    @Test("before it begins keeps its statement from running")
    func beforehand() async throws {
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n bigint)")())
        let task = Task { [client] in
            withUnsafeCurrentTask { $0?.cancel() }
            try await client.withConnection { connection in
                _ = try await connection.execute(Statement("test.insert", "INSERT INTO t (n) VALUES (1)")())
            }
        }
        let error = await #expect(throws: PostgresError.self) { try await task.value }
        #expect(error?.kind == .cancelled)
        #expect(try await client.read(Statement("test.count", "SELECT count(*) FROM t")()).first?.decode(0) == 0)
    }

    @Test("at any moment never hits the next caller of the connection")
    func neverHitsTheNext() async throws {
        let echo = Statement("test.echo", "SELECT $1::bigint FROM pg_sleep(0.001)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask { [client] in
                    if number % 2 == 0 {
                        let task = Task { try await client.withTransaction { _ = try await $0.execute(echo(number)) } }
                        if number % 4 == 0 { await Task.yield() }
                        task.cancel()
                        _ = await task.result
                    } else {
                        let row = try await client.withTransaction { try await $0.execute(echo(number)).first }
                        #expect(try row?.decode(0) == number)
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
