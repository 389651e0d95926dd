import Foundation
import Postgres
import TestSupport
import Testing

@Suite(
    "Behind PgBouncer in transaction mode",
    .enabled(if: PgBouncer.isInstalled || ProcessInfo.processInfo.environment["CI"] != nil, "apt-get install pgbouncer"))
struct PoolerTests {
    @Test("statements, transactions and COPY work, although sessions change under them", .scratchDatabase(.empty))
    func everything() async throws {
        let direct = ScratchDatabase.current.makeClient()
        _ = try await direct.write(Statement("test.create", "CREATE TABLE t (n bigint PRIMARY KEY)")())
        try await PgBouncer.run(in: direct) { url in
            let settings = ConnectionSettings(connectionString: url, applicationName: "test")
            // Two programs, so that each finds sessions that the other has used.
            let clients = (0..<2).map { _ in PostgresClient(.init(connection: settings), logger: .quiet) }
            let insert = Statement("test.insert", "INSERT INTO t (n) VALUES ($1) RETURNING n")
            let read = Statement("test.read", "SELECT n FROM t WHERE n = $1")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<400 {
                    group.addTask {
                        let client = clients[number % 2]
                        switch number % 4 {
                        case 0, 1:
                            #expect(try await client.write(insert(number)).first?.decode(0) == number)
                        case 2:
                            try await client.withTransaction { transaction in
                                _ = try await transaction.execute(insert(number))
                                #expect(try await transaction.execute(read(number)).count == 1)
                            }
                        default:
                            let rows = try await client.withConnection { connection in
                                try await connection.copyIn("COPY t FROM STDIN", name: "test.copy") {
                                    try await $0.write(Array("\(number)\n".utf8))
                                }
                            }
                            #expect(rows == 1)
                        }
                        #expect(try await client.read(read(number)).count == 1)
                    }
                }
                try await group.waitForAll()
            }
            for client in clients { await client.close() }
        }
        #expect(try await direct.read(Statement("test.count", "SELECT count(*) FROM t")()).first?.decode(0) == 400)
    }
}
