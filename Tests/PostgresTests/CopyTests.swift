import Postgres
import TestSupport
import Testing

@Suite("COPY", .scratchDatabase(.empty))
struct CopyTests {
    let client = ScratchDatabase.current.makeClient { $0.leases = 1 }
    private let copy = "COPY t (n, text) FROM STDIN"

    private struct Regret: Error {}

    private func makeTable() async throws {
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n bigint PRIMARY KEY, text text)")())
    }

    private func count() async throws -> Int {
        try await #require(client.read(Statement("test.count", "SELECT count(*) FROM t")()).first).decode(0)
    }

    @Test("takes data in pieces that need not end at a row's end")
    func pieces() async throws {
        try await makeTable()
        let rows = try await client.withConnection { connection in
            try await connection.copyIn(copy, name: "test.copy") { writer in
                for piece in ["1\ton", "e\n2", "", "\ttwo\n"] { try await writer.write(Array(piece.utf8)) }
            }
        }
        #expect(rows == 2)
        let text = try await client.read(Statement("test.text", "SELECT string_agg(text, ',' ORDER BY n) FROM t")())
        #expect(try text.first?.decode(0) == "one,two")
    }

    @Test("holds a fast writer back instead of buffering")
    func bigData() async throws {
        try await makeTable()
        let line = String(repeating: "x", count: 1000)
        let rows = try await client.withConnection { connection in
            try await connection.copyIn(copy, name: "test.copy") { writer in
                for piece in 0..<100 {
                    let text = (0..<1000).map { "\(piece * 1000 + $0)\t\(line)\n" }.joined()
                    try await writer.write(Array(text.utf8))
                }
            }
        }
        #expect(rows == 100_000)
        #expect(try await count() == 100_000)
    }

    @Test("stores nothing if its closure throws, and the connection goes on")
    func bodyThrows() async throws {
        try await makeTable()
        try await client.withConnection { connection in
            await #expect(throws: Regret.self) {
                try await connection.copyIn(copy, name: "test.copy") { writer in
                    try await writer.write(Array("1\tone\n".utf8))
                    throw Regret()
                }
            }
            let rows = try await connection.copyIn(copy, name: "test.copy") { try await $0.write(Array("2\ttwo\n".utf8)) }
            #expect(rows == 1)
        }
        #expect(try await count() == 1)
    }

    @Test("of bad data is an error and stores nothing", arguments: ["x\tnot a number\n", "1\ta\n1\ttwice\n", "1\n", "1\ta\tb\n"])
    func badData(data: String) async throws {
        try await makeTable()
        try await client.withConnection { connection in
            let error = await #expect(throws: PostgresError.self) {
                try await connection.copyIn(copy, name: "test.copy") { writer in
                    try await writer.write(Array(data.utf8))
                    // More than any buffer holds: the server goes on taking it after its error.
                    for _ in 0..<50 { try await writer.write(Array(repeating: UInt8(ascii: "x"), count: 100_000)) }
                }
            }
            #expect(error?.kind == .server)
            #expect(error?.statement == "test.copy")
            try await expectAnswer(from: connection)
        }
        #expect(try await count() == 0)
    }

    @Test("into a table that is not there fails before its closure is called")
    func noTable() async throws {
        try await client.withConnection { connection in
            let error = await #expect(throws: PostgresError.self) {
                try await connection.copyIn(copy, name: "test.copy") { _ in Issue.record("the closure was called") }
            }
            #expect(error?.sqlState == .undefinedTable)
            try await expectAnswer(from: connection)
        }
    }

    @Test("stores nothing when its task is cancelled, and the pool stays usable")
    func cancelled() async throws {
        try await makeTable()
        let (written, continuation) = AsyncStream.makeStream(of: Void.self)
        let task = Task { [client] in
            try await client.withConnection { connection in
                try await connection.copyIn(copy, name: "test.copy") { writer in
                    for number in 0... {
                        try await writer.write(Array("\(number)\trow\n".utf8))
                        if number == 1000 { continuation.finish() }
                    }
                }
            }
        }
        for await _ in written {}
        task.cancel()
        await #expect(throws: PostgresError.self) { try await task.value }
        try await client.withTransaction { _ = try await $0.execute(Statement("test.lock", "LOCK TABLE t")()) }
        #expect(try await count() == 0)
    }

    @Test("is an error when the session ends in its midst")
    func sessionEnds() async throws {
        try await makeTable()
        try await client.withConnection { connection in
            let answer = try await connection.execute(Statement("test.pid", "SELECT pg_backend_pid()")())
            let pid = try #require(answer.first).decode(0, as: Int.self)
            let terminate = Statement("test.terminate", "SELECT pg_terminate_backend($1::bigint::integer)")
            let error = await #expect(throws: PostgresError.self) {
                try await connection.copyIn(copy, name: "test.copy") { writer in
                    try await writer.write(Array("1\tone\n".utf8))
                    _ = try await client.read(terminate(pid))
                }
            }
            #expect(error?.kind == .connectionLost)
        }
        #expect(try await count() == 0)
    }
}
