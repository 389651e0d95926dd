import Postgres
import TestSupport
import Testing

@Suite("The replication stream", .scratchDatabase(.empty))
struct ReplicationTests {
    private let slot = "attune_test_\(UInt64.random(in: 0..<(.max)))"

    private func open() async throws -> ReplicationConnection {
        let settings = ConnectionSettings(connectionString: ScratchDatabase.current.url, applicationName: "test")
        let connection = try await ReplicationConnection.open(settings)
        let created = try await connection.run("CREATE_REPLICATION_SLOT \(slot) TEMPORARY LOGICAL pgoutput", name: "test.slot")
        #expect(created.first?.first == slot)
        return connection
    }

    private func start(_ connection: ReplicationConnection) async throws {
        try await connection.startStream(
            "START_REPLICATION SLOT \(slot) LOGICAL 0/0 (proto_version '1', publication_names 'everything')")
    }

    /// The positions of pgoutput's commit messages among these: XLogData `w`, 24 bytes of positions and time, `C`, flags,
    /// the commit's position.
    private func commits(in messages: [[UInt8]]) -> [UInt64] {
        messages.filter { $0.count > 34 && $0[0] == UInt8(ascii: "w") && $0[25] == UInt8(ascii: "C") }
            .map { $0[35..<43].reduce(0) { $0 << 8 | UInt64($1) } }
    }

    @Test("brings each commit, in order, and takes confirmations")
    func commits() async throws {
        let client = ScratchDatabase.current.makeClient()
        _ = try await client.write([
            Statement("test.create", "CREATE TABLE t (n bigint PRIMARY KEY)")(),
            Statement("test.publish", "CREATE PUBLICATION everything FOR ALL TABLES")(),
        ])
        let connection = try await open()
        try await start(connection)
        var positions: [UInt64] = []
        for number in 0..<50 {
            _ = try await client.write(Statement("test.insert", "INSERT INTO t (n) VALUES ($1)")(number))
        }
        while positions.count < 50 { positions += commits(in: try await connection.messages()) }
        #expect(positions.count == 50)
        #expect(positions == positions.sorted())
        let last = try #require(positions.last)
        connection.confirm(last, requestReply: true)
        // The keepalive that was asked for.
        while try await !connection.messages().contains(where: { $0.first == UInt8(ascii: "k") }) {}
        let confirmed = Statement(
            "test.confirmed", "SELECT confirmed_flush_lsn >= $1::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $2")
        let text = String(last >> 32, radix: 16) + "/" + String(last & 0xFFFF_FFFF, radix: 16)
        #expect(try await client.read(confirmed(text, slot)).first?.decode(0) == true)
        connection.close()
        try await eventually("the slot ends with its connection") {
            try await client.read(confirmed(text, slot)).isEmpty
        }
    }

    @Test("makes the server wait for a slow reader, and loses nothing")
    func slowReader() async throws {
        let client = ScratchDatabase.current.makeClient()
        _ = try await client.write([
            Statement("test.create", "CREATE TABLE t (n bigint, text text)")(),
            Statement("test.publish", "CREATE PUBLICATION everything FOR ALL TABLES")(),
        ])
        let connection = try await open()
        try await start(connection)
        let insert = Statement("test.insert", "INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 1000) AS n")
        for _ in 0..<40 { _ = try await client.write(insert()) }
        try await eventually("the server waits for us") {
            let waits = Statement(
                "test.waits",
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'WalSenderWriteData' AND datname = current_database()")
            return try await client.read(waits()).first?.decode(0) == 1
        }
        var rows = 0
        var found = 0
        while found < 40 {
            let messages = try await connection.messages()
            rows += messages.filter { $0.count > 25 && $0[0] == UInt8(ascii: "w") && $0[25] == UInt8(ascii: "I") }.count
            found += commits(in: messages).count
        }
        #expect(rows == 40_000)
        connection.close()
    }

    @Test("ends with an error when its session ends, when its task is cancelled, and when its command is refused")
    func endings() async throws {
        let client = ScratchDatabase.current.makeClient()
        _ = try await client.write(Statement("test.publish", "CREATE PUBLICATION everything FOR ALL TABLES")())
        let terminated = try await open()
        try await start(terminated)
        let reading = Task {
            while true { _ = try await terminated.messages() }
        }
        let terminate = Statement(
            "test.terminate", "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1")
        _ = try await client.write(terminate(slot))
        let error = await #expect(throws: PostgresError.self) { try await reading.value }
        #expect(error?.kind == .connectionLost)

        let slots = Statement("test.slots", "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1")
        try await eventually("the slot is gone") { try await client.read(slots(slot)).first?.decode(0) == 0 }
        let cancelled = try await open()
        try await start(cancelled)
        let waiting = Task {
            while true { _ = try await cancelled.messages() }
        }
        waiting.cancel()
        await #expect(throws: PostgresError.self) { try await waiting.value }

        try await eventually("the slot is gone") { try await client.read(slots(slot)).first?.decode(0) == 0 }
        let refused = try await open()
        let refusal = await #expect(throws: PostgresError.self) {
            try await refused.startStream("START_REPLICATION SLOT no_such_slot LOGICAL 0/0")
        }
        #expect(refusal?.sqlState == .undefinedObject)
        refused.close()
    }
}
