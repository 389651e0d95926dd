import Development
import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite("When sessions break")
struct OutageTests {
    @Test("under load, each caller gets an error or a success that is true", .scratchDatabase(.empty))
    func terminatedBackends() async throws {
        let client = ScratchDatabase.current.makeClient { $0.writers = 4; $0.readers = 2; $0.leases = 4 }
        let observer = ScratchDatabase.current.makeClient()
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n bigint PRIMARY KEY)")())
        let load = Load(client: client)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<24 { group.addTask { await load.run(worker) } }
            for round in 1...15 {
                try await eventually("statements succeed") { load.successes >= round * 200 }
                let terminate = Statement(
                    "test.terminate",
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                    """)
                _ = try await observer.write(terminate())
            }
            let successes = load.successes
            try await eventually("service returns") { load.successes > successes + 200 }
            load.stop()
            try await group.waitForAll()
        }
        try await load.check(client)
    }

    @Test("a server that is stopped at once and started again is used again, and no success was false")
    func restart() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "attune-outage-\(UUID().uuidString)").path()
        let cluster = try await PrivateCluster(in: DataDirectory(path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        do {
            try await cluster.start()
            let settings = ConnectionSettings(connectionString: try await cluster.connectionString, applicationName: "outage")
            var configuration = PostgresClient.Configuration(connection: settings)
            configuration.waitingTimeout = .seconds(60)
            let client = PostgresClient(configuration, logger: .quiet)
            _ = try await client.write(Statement("test.create", "CREATE TABLE t (n bigint PRIMARY KEY)")())
            let load = Load(client: client)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<24 { group.addTask { await load.run(worker) } }
                for _ in 1...2 {
                    let before = load.successes
                    try await eventually("statements succeed") { load.successes > before + 300 }
                    await cluster.stop(.immediate)
                    try await cluster.start()
                }
                let successes = load.successes
                try await eventually("service returns") { load.successes > successes + 300 }
                load.stop()
                try await group.waitForAll()
            }
            try await load.check(client)
            await client.close()
        } catch {
            await cluster.stop(.immediate)
            throw error
        }
        await cluster.stop(.immediate)
    }

    @Test("a server that is not there is an error after the waiting time, not a hang")
    func absent() async throws {
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(connectionString: "host=/nonexistent", applicationName: "test"))
        // Long enough for a first attempt, also while hundreds of tests begin.
        configuration.waitingTimeout = .seconds(8)
        let client = PostgresClient(configuration, logger: .quiet)
        let read = await #expect(throws: PostgresError.self) { try await client.read(Statement("test.one", "SELECT 1")()) }
        #expect(read?.kind == .cannotConnect)
        #expect(read?.hadNoEffect == true)
        let lease = await #expect(throws: PostgresError.self) { try await client.withTransaction { _ in } }
        #expect(lease?.kind == .cannotConnect)
        await client.close()
    }
}

/// Callers that insert rows in every way there is, and remember what they were told.
private final class Load: Sendable {
    private struct Outcomes {
        var stored: Set<Int> = []
        /// The error says that there was no effect.
        var refused: Set<Int> = []
        var isStopped = false
    }
    private let outcomes = Mutex(Outcomes())
    private let client: PostgresClient
    private static let insert = Statement("test.insert", "INSERT INTO t (n) VALUES ($1)")
    private static let lookUp = Statement("test.lookUp", "SELECT n FROM t WHERE n = $1")

    init(client: PostgresClient) {
        self.client = client
    }

    var successes: Int { outcomes.withLock { $0.stored.count } }

    func stop() { outcomes.withLock { $0.isStopped = true } }

    func run(_ worker: Int) async {
        var round = 0
        while !outcomes.withLock({ $0.isStopped }) {
            let number = worker + 100 * round
            round += 1
            do {
                switch round % 4 {
                case 0:
                    try await client.withTransaction { _ = try await $0.execute(Self.insert(number)) }
                case 1:
                    _ = try await client.withConnection { connection in
                        try await connection.copyIn("COPY t FROM STDIN", name: "test.copy") {
                            try await $0.write(Array("\(number)\n".utf8))
                        }
                    }
                default:
                    _ = try await client.write(Self.insert(number))
                }
                outcomes.withLock { _ = $0.stored.insert(number) }
                // What was acknowledged is there for everyone.
                if let rows = try? await client.read(Self.lookUp(number)) { #expect(rows.count == 1) }
            } catch let error as PostgresError {
                if error.hadNoEffect { outcomes.withLock { _ = $0.refused.insert(number) } }
            } catch {
                Issue.record(error)
            }
        }
    }

    /// Compares what the callers were told with what the table holds.
    func check(_ client: PostgresClient) async throws {
        let rows = try await client.read(Statement("test.all", "SELECT n FROM t")()).map { try $0.decode(0, as: Int.self) }
        let (stored, refused) = outcomes.withLock { ($0.stored, $0.refused) }
        #expect(stored.subtracting(rows).isEmpty, "acknowledged and lost")
        #expect(refused.intersection(rows).isEmpty, "refused and stored")
    }
}
