import Postgres
import TestSupport
import Testing

@Suite("A shared pipeline", .scratchDatabase(.empty))
struct PipelineTests {
    let database = ScratchDatabase.current

    @Test("one caller's failing statement fails alone among hundreds")
    func failsAlone() async throws {
        let client = database.makeClient { $0.writers = 1 }
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n bigint PRIMARY KEY)")())
        let insert = Statement("test.insert", "INSERT INTO t (n) VALUES ($1) RETURNING n")
        let divide = Statement("test.divide", "SELECT 1 / ($1::bigint - $1::bigint)")
        let broken = Statement("test.broken", "SELECT no_such_column")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<600 {
                group.addTask {
                    switch number % 60 {
                    case 10:
                        await #expect(throws: PostgresError.self) { try await client.write(divide(number)) }
                    case 20:
                        await #expect(throws: PostgresError.self) { try await client.write(broken()) }
                    case 30:
                        // The first statement of the unit is undone with the second.
                        await #expect(throws: PostgresError.self) { try await client.write([insert(number), divide(number)]) }
                    default:
                        let inserted = try await client.write(insert(number))
                        #expect(try inserted.first?.decode(0) == number)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await client.read(Statement("test.count", "SELECT count(*) FROM t")()).first?.decode(0) == 600 - 30)
    }

    @Test("a statement whose preparation failed takes nobody's prepared statements away")
    func failedPreparation() async throws {
        let client = database.makeClient { $0.writers = 1 }
        let early = Statement("test.early", "SELECT n FROM later")
        // All in flight together: one prepares, the others rely on it.
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { await #expect(throws: PostgresError.self) { try await client.write(early()) } }
            }
        }
        _ = try await client.write(Statement("test.create", "CREATE TABLE later (n integer)")())
        _ = try await client.write(early())
        // Still by name: the session keeps what it prepared.
        let names = Statement("test.names", "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM later'")
        #expect(try await client.write(names()).first?.decode(0) == 1)
    }

    @Test("an error that comes only with the commit reaches its caller, and the next one succeeds")
    func deferredConstraint() async throws {
        let client = database.makeClient { $0.writers = 1 }
        try await client.withConnection { connection in
            _ = try await connection.runScript(
                """
                CREATE TABLE parents (id bigint PRIMARY KEY);
                CREATE TABLE children (parent bigint, CONSTRAINT children_parent_fkey FOREIGN KEY (parent)
                    REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)
                """, name: "test.create")
        }
        let insert = Statement("test.child", "INSERT INTO children (parent) VALUES ($1)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let error = await #expect(throws: PostgresError.self) { try await client.write(insert(1)) }
                #expect(error?.sqlState == .foreignKeyViolation)
                #expect(error?.constraint == "children_parent_fkey")
            }
            for _ in 0..<20 { group.addTask { _ = try await client.write(insert(Int?.none)) } }
            try await group.waitForAll()
        }
    }

    @Test("a prepared statement survives a change of its table", arguments: [1, 20])
    func stalePlan(callers: Int) async throws {
        let client = database.makeClient { $0.writers = 1 }
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n integer)")())
        let read = Statement("test.read", "SELECT * FROM t")
        let write = Statement("test.write", "INSERT INTO t (n) VALUES ($1) RETURNING *")
        for column in 1...3 {
            _ = try await client.write(write(column))
            _ = try await client.read(read())
            _ = try await client.write(Statement("test.alter", "ALTER TABLE t ADD COLUMN c\(column) integer")())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<callers {
                    group.addTask {
                        let rows = try await client.read(read())
                        #expect(rows.columnCount == column + 1)
                    }
                    group.addTask {
                        let rows = try await client.write(write(column))
                        #expect(rows.columnCount == column + 1)
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(try await client.read(Statement("test.count", "SELECT count(*) FROM t")()).first?.decode(0) == 3 * (callers + 1))
    }

    @Test("a transaction on a stale statement fails once, and the next one succeeds")
    func stalePlanInTransaction() async throws {
        let client = database.makeClient { $0.leases = 1 }
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n integer)")())
        let read = Statement("test.read", "SELECT * FROM t")
        try await client.withTransaction { _ = try await $0.execute(read()) }
        _ = try await client.write(Statement("test.alter", "ALTER TABLE t ADD COLUMN c integer")())
        let error = await #expect(throws: PostgresError.self) {
            try await client.withTransaction { _ = try await $0.execute(read()) }
        }
        #expect(error?.hadNoEffect == true)
        let columns = try await client.withTransaction { try await $0.execute(read()).columnCount }
        #expect(columns == 2)
    }

    @Test("a statement that runs too long is cancelled, and those behind it are not")
    func statementTimeout() async throws {
        let client = database.makeClient { $0.readers = 1; $0.statementTimeout = .milliseconds(300) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let error = await #expect(throws: PostgresError.self) {
                    try await client.read(Statement("test.sleep", "SELECT pg_sleep(3600)")())
                }
                #expect(error?.kind == .timedOut)
                #expect(error?.statement == "test.sleep")
            }
            for number in 0..<30 {
                group.addTask {
                    let rows = try await client.read(Statement("test.echo", "SELECT $1::bigint")(number))
                    #expect(try rows.first?.decode(0) == number)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("one caller too many is told that we are overloaded, and the others are served")
    func overloaded() async throws {
        let client = database.makeClient { $0.writers = 1; $0.maximumWaiting = 3; $0.waitingTimeout = .seconds(60) }
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n integer)")())
        let insert = Statement("test.insert", "INSERT INTO t (n) VALUES (1)")
        let refused = try await client.withConnection { connection in
            try await connection.withTransaction { transaction in
                _ = try await transaction.execute(Statement("test.lock", "LOCK TABLE t")())
                // Four in flight and three waiting: everyone after that is refused at once.
                return try await withThrowingTaskGroup(of: Bool.self) { group in
                    for _ in 0..<12 {
                        group.addTask {
                            do throws(PostgresError) {
                                _ = try await client.write(insert())
                                return false
                            } catch {
                                #expect(error.kind == .overloaded)
                                return true
                            }
                        }
                    }
                    var refused = 0
                    while refused < 5, let wasRefused = try await group.next() { refused += wasRefused ? 1 : 0 }
                    _ = try await connection.execute(Statement("test.rollback", "ROLLBACK")())
                    while let wasRefused = try await group.next() { refused += wasRefused ? 1 : 0 }
                    return refused
                }
            }
        }
        #expect(refused == 5)
        #expect(try await client.read(Statement("test.count", "SELECT count(*) FROM t")()).first?.decode(0) == 7)
    }

    @Test("COPY where it has no place fails instead of hanging")
    func copyInPipeline() async throws {
        let client = database.makeClient()
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n integer)")())
        await #expect(throws: PostgresError.self) { try await client.write(Statement("test.copy", "COPY t FROM STDIN")()) }
        await #expect(throws: PostgresError.self) { try await client.write(Statement("test.copy", "COPY t TO STDOUT")()) }
        await #expect(throws: PostgresError.self) {
            _ = try await client.withConnection { try await $0.runScript("COPY t FROM STDIN", name: "test.copy") }
        }
        try await client.withConnection { connection in
            await #expect(throws: PostgresError.self) {
                try await connection.copyIn("INSERT INTO t VALUES (1)", name: "test.copy") { _ in }
            }
            try await expectAnswer(from: connection)
        }
        try await expectAnswer(from: client)
    }

    @Test("a client that was closed says so")
    func closed() async throws {
        let client = database.makeClient()
        _ = try await client.read(Statement("test.one", "SELECT 1")())
        await client.close()
        let error = await #expect(throws: PostgresError.self) { try await client.read(Statement("test.one", "SELECT 1")()) }
        #expect(error?.kind == .closed)
        await #expect(throws: PostgresError.self) { try await client.withTransaction { _ in } }
    }
}
