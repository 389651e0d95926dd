import Postgres
import TestSupport
import Testing

@Suite("A transaction", .scratchDatabase(.empty))
struct TransactionTests {
    let client = ScratchDatabase.current.makeClient { $0.leases = 1 }
    private let insert = Statement("test.insert", "INSERT INTO t (n) VALUES ($1)")

    private struct Regret: Error {}

    private func makeTable() async throws {
        _ = try await client.write(
            Statement("test.create", "CREATE TABLE t (n bigint, CONSTRAINT t_n_positive CHECK (n > 0))")())
    }

    private func count() async throws -> Int {
        try await #require(client.read(Statement("test.count", "SELECT count(*) FROM t")()).first).decode(0)
    }

    @Test("is committed when its closure returns")
    func commit() async throws {
        try await makeTable()
        let value = try await client.withTransaction { transaction in
            _ = try await transaction.execute(insert(1))
            _ = try await transaction.execute([insert(2), insert(3)])
            return "done"
        }
        #expect(value == "done")
        #expect(try await count() == 3)
    }

    @Test("is rolled back when its closure throws, and the connection serves the next caller")
    func rollback() async throws {
        try await makeTable()
        for _ in 0..<3 {
            await #expect(throws: Regret.self) {
                try await client.withTransaction { transaction in
                    _ = try await transaction.execute(insert(1))
                    throw Regret()
                }
            }
        }
        #expect(try await count() == 0)
        try await client.withTransaction { _ = try await $0.execute(insert(1)) }
        #expect(try await count() == 1)
    }

    @Test("that failed inside never reports success, even if its closure swallows the error")
    func failedCommit() async throws {
        try await makeTable()
        let error = await #expect(throws: PostgresError.self) {
            try await client.withTransaction { transaction in
                _ = try await transaction.execute(insert(1))
                _ = try? await transaction.execute(insert(-1))
            }
        }
        #expect(error?.sqlState == .inFailedTransaction)
        #expect(try await count() == 0)
    }

    @Test("whose first statement fails has no effect", arguments: [false, true])
    func failedFirst(isSwallowed: Bool) async throws {
        try await makeTable()
        await #expect(throws: PostgresError.self) {
            try await client.withTransaction { transaction in
                do { _ = try await transaction.execute(insert(-1)) } catch where isSwallowed {}
                _ = try await transaction.execute(insert(1))
            }
        }
        #expect(try await count() == 0)
    }

    @Test("in which nothing runs is no error")
    func empty() async throws {
        try await client.withTransaction { _ in }
        await #expect(throws: Regret.self) { try await client.withTransaction { _ in throw Regret() } }
        try await expectAnswer(from: client)
    }

    @Test("takes scripts and COPY, first or later, and undoes them with the rest", arguments: [true, false])
    func scriptsAndCopy(isCommitted: Bool) async throws {
        try await makeTable()
        do {
            try await client.withTransaction { transaction in
                let results = try await transaction.runScript(
                    "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", name: "test.script")
                #expect(results.map(\.commandTag) == ["INSERT 0 1", "INSERT 0 1"])
                let rows = try await transaction.copyIn("COPY t FROM STDIN", name: "test.copy") {
                    try await $0.write(Array("3\n4\n".utf8))
                }
                #expect(rows == 2)
                _ = try await transaction.execute(insert(5))
                if !isCommitted { throw Regret() }
            }
            #expect(isCommitted)
        } catch is Regret {}
        #expect(try await count() == (isCommitted ? 5 : 0))
        await #expect(throws: Regret.self) {
            try await client.withTransaction { transaction in
                _ = try await transaction.copyIn("COPY t FROM STDIN", name: "test.copy") {
                    try await $0.write(Array("6\n".utf8))
                }
                throw Regret()
            }
        }
        #expect(try await count() == (isCommitted ? 5 : 0))
    }

    @Test("in snapshot mode reads one moment and writes nothing")
    func snapshot() async throws {
        try await makeTable()
        try await client.withTransaction(.snapshot) { transaction in
            let count = Statement("test.count", "SELECT count(*) FROM t")
            #expect(try await transaction.execute(count()).first?.decode(0) == 0)
            _ = try await client.write(insert(1))
            #expect(try await transaction.execute(count()).first?.decode(0) == 0)
        }
        let error = await #expect(throws: PostgresError.self) {
            try await client.withTransaction(.snapshot) { _ = try await $0.execute(insert(2)) }
        }
        #expect(error?.sqlState?.rawValue == "25006")
        #expect(try await count() == 1)
    }

    @Test("left open by hand costs its connection, not its successor's peace")
    func leftOpen() async throws {
        try await makeTable()
        try await client.withConnection { connection in
            _ = try await connection.execute(Statement("test.begin", "BEGIN")())
            _ = try await connection.execute(insert(1))
        }
        try await client.withTransaction { _ = try await $0.execute(insert(2)) }
        #expect(try await count() == 1)
    }

    @Test("an error names constraint, table, statement and SQLSTATE, and shows no data")
    func errors() async throws {
        _ = try await client.write(
            Statement("test.create", "CREATE TABLE people (email text, CONSTRAINT people_email_key UNIQUE (email))")())
        let insert = Statement("people.insert", "INSERT INTO people (email) VALUES ($1)")
        _ = try await client.write(insert("secret@example.com"))
        let error = try #require(
            await #expect(throws: PostgresError.self) { try await client.write(insert("secret@example.com")) })
        #expect(error.kind == .server)
        #expect(error.sqlState == .uniqueViolation)
        #expect(error.constraint == "people_email_key")
        #expect(error.table == "people")
        #expect(error.statement == "people.insert")
        #expect("\(error)" == "PostgreSQL: server, SQLSTATE 23505, constraint people_email_key, table people, in people.insert")
        #expect(error.debugDescription.contains("secret@example.com"))

        let cast = try #require(
            await #expect(throws: PostgresError.self) {
                try await client.read(Statement("test.cast", "SELECT $1::text::bigint")("secret"))
            })
        #expect(!"\(cast)".contains("secret"))
    }
}
