import Postgres
import Schema
import TestSupport
import Testing

@Suite("The migrator", .scratchDatabase(.empty))
struct MigratorTests {
    let client = ScratchDatabase.current.makeClient()
    private let first = Migration(
        number: 1, name: "create_notes",
        sql: "-- Notes.\nCREATE TABLE notes (n bigint);\nINSERT INTO notes VALUES (1);")
    private let second = Migration(
        number: 2, name: "fill_notes", sql: "INSERT INTO notes VALUES (2); INSERT INTO notes VALUES (3);")

    private func migrator(_ migrations: [Migration]) -> Migrator {
        Migrator(client: client, migrations: migrations, logger: .quiet)
    }

    private func notes() async throws -> [Int] {
        try await client.read(Statement("test.notes", "SELECT n FROM notes ORDER BY n")()).map { try $0.decode(0) }
    }

    private func expectSchemaError(_ migrator: Migrator, saying parts: String...) async {
        for attempt in [{ _ = try await migrator.up() }, { try await migrator.requireCurrent() }] {
            let error = await #expect(throws: SchemaError.self) { try await attempt() }
            for part in parts { #expect(error?.description.contains(part) == true, "\(error?.description ?? "") lacks \(part)") }
        }
    }

    @Test("applies what is pending, once and in order")
    func up() async throws {
        #expect(try await migrator([first]).up() == [first])
        #expect(try await migrator([first, second]).up() == [second])
        #expect(try await migrator([first, second]).up() == [])
        #expect(try await notes() == [1, 2, 3])
        let status = try await migrator([first, second]).status()
        #expect(status.applied.map(\.fileName) == ["0001_create_notes.sql", "0002_fill_notes.sql"])
        #expect(status.applied.map(\.checksum) == [first.checksum, second.checksum])
        try await migrator([first, second]).requireCurrent()
    }

    @Test("asking for the status changes nothing")
    func status() async throws {
        #expect(try await migrator([first]).status().pending == [first])
        let tables = Statement("test.tables", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        #expect(try await client.read(tables()).first?.decode(0) == 0)
    }

    @Test("runners started together apply each file once")
    func together() async throws {
        let applied = try await withThrowingTaskGroup(of: [Migration].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let client = ScratchDatabase.current.makeClient()
                    return try await Migrator(client: client, migrations: [first, second], logger: .quiet).up()
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(applied == [first, second])
        #expect(try await notes() == [1, 2, 3])
    }

    @Test("a file that fails leaves nothing of itself, and can be mended and run again")
    func failure() async throws {
        let broken = Migration(number: 2, name: "fill_notes", sql: "INSERT INTO notes VALUES (2); SELECT no_such_column;")
        let error = await #expect(throws: MigrationFailed.self) { try await migrator([first, broken]).up() }
        #expect(error?.description == "0002_fill_notes.sql failed: PostgreSQL: server, SQLSTATE 42703, in 0002_fill_notes.sql")
        #expect(error?.debugDescription.contains("no_such_column") == true)
        #expect(try await notes() == [1])
        // The lock is free again, also for another session.
        let other = ScratchDatabase.current.makeClient()
        #expect(try await Migrator(client: other, migrations: [first, second], logger: .quiet).up() == [second])
    }

    @Test("a cancelled run lets go of its lock")
    func cancelled() async throws {
        let slow = Migration(number: 1, name: "wait", sql: "SELECT pg_sleep(3600);")
        let task = Task { try await migrator([slow]).up() }
        try await eventually("the migration runs") {
            let running = Statement(
                "test.running",
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")
            return try await client.read(running()).first?.decode(0) == 1
        }
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        let other = ScratchDatabase.current.makeClient()
        #expect(try await Migrator(client: other, migrations: [first], logger: .quiet).up() == [first])
    }

    @Test("a file marked -- no-transaction runs outside one")
    func noTransaction() async throws {
        let index = Migration(
            number: 2, name: "index_notes",
            sql: "-- no-transaction\n-- Locks nothing.\nCREATE INDEX CONCURRENTLY notes_idx ON notes (n);")
        #expect(try await migrator([first, index]).up().count == 2)
        let inside = Migration(number: 3, name: "index_again", sql: "CREATE INDEX CONCURRENTLY notes_two_idx ON notes (n);")
        await #expect(throws: MigrationFailed.self) { try await migrator([first, index, inside]).up() }
    }

    @Test("two runners get past an index that is built concurrently")
    func concurrentIndexTogether() async throws {
        let index = Migration(
            number: 2, name: "index_notes", sql: "-- no-transaction\nCREATE INDEX CONCURRENTLY notes_idx ON notes (n);")
        let clients = (0..<3).map { _ in ScratchDatabase.current.makeClient() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in clients {
                group.addTask {
                    _ = try await Migrator(client: client, migrations: [first, index], logger: .quiet).up()
                }
            }
            try await group.waitForAll()
        }
        try await migrator([first, index]).requireCurrent()
    }

    @Test("edited history is refused, with the file and both checksums")
    func edited() async throws {
        _ = try await migrator([first, second]).up()
        let edited = Migration(number: 1, name: "create_notes", sql: first.sql + "-- Better.")
        await expectSchemaError(
            migrator([edited, second]), saying: "0001_create_notes.sql", "was edited", String(edited.checksum.prefix(12)),
            String(first.checksum.prefix(12)))
    }

    @Test("a newer database is refused, with what it has")
    func newer() async throws {
        _ = try await migrator([first, second]).up()
        await expectSchemaError(
            migrator([first]), saying: "newer than this program", "0002_fill_notes.sql", String(second.checksum.prefix(12)))
    }

    @Test("an older database is refused by daemons, with the command that helps")
    func older() async throws {
        _ = try await migrator([first]).up()
        let error = await #expect(throws: SchemaError.self) { try await migrator([first, second]).requireCurrent() }
        #expect(
            error?.description == """
                The database's schema is older than this program: it lacks
                  0002_fill_notes.sql  \(second.checksum.prefix(12))
                Run 'attune-migrate up'.
                """)
    }

    @Test("a gap and a foreign file are refused")
    func contradictions() async throws {
        let third = Migration(number: 3, name: "add_more", sql: "INSERT INTO notes VALUES (4);")
        _ = try await migrator([first, third]).up()
        await expectSchemaError(
            migrator([first, second, third]), saying: "0002_fill_notes.sql", "was not applied, and later ones were")
        let fourth = Migration(number: 4, name: "add_yet_more", sql: "INSERT INTO notes VALUES (5);")
        await expectSchemaError(migrator([first, second, fourth]), saying: "0003_add_more.sql", "this program does not have it")
        #expect(try await notes() == [1, 4])
    }
}

@Suite("The migrations of this release")
struct EmbeddedMigrationsTests {
    @Test("are numbered from 1 without gaps and have distinct names")
    func numbers() {
        #expect(!Migration.all.isEmpty)
        #expect(Migration.all.map(\.number) == Array(1...Migration.all.count))
        #expect(Set(Migration.all.map(\.name)).count == Migration.all.count)
    }

    @Test("apply to an empty database", .scratchDatabase(.empty))
    func apply() async throws {
        let client = ScratchDatabase.current.makeClient()
        let migrator = Migrator(client: client, logger: .quiet)
        #expect(try await migrator.up() == Migration.all)
        try await migrator.requireCurrent()
    }

    @Test("are in each scratch database", .scratchDatabase)
    func template() async throws {
        let client = ScratchDatabase.current.makeClient()
        try await Migrator(client: client, logger: .quiet).requireCurrent()
    }

    @Test("checksums are SHA-256 of the text")
    func checksum() {
        let migration = Migration(number: 7, name: "x", sql: "abc")
        #expect(migration.checksum == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(migration.fileName == "0007_x.sql")
    }
}
