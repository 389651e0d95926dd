import Development
import Domain
import Foundation
import Logging
import Postgres
import Schema
import TestSupport
import Testing

@testable import Delivery

@Suite("Delivery that is interrupted", .timeLimit(.minutes(5)))
struct CrashTests {
    private let folder = ScratchFolder()

    /// Each round ends as a crash does: with the spool's files as they are at that moment, and no word to PostgreSQL.
    @Test("stores each event once, and its ledger adds up, however often the daemon and its sessions are killed", .scratchDatabase)
    func crashes() async throws {
        let client = ScratchDatabase.current.makeClient()
        let executioner = ScratchDatabase.current.makeClient()
        var acknowledged = 0
        let rounds = 24
        for round in 0..<rounds {
            let spool = try folder.spool("\(round)")
            let intake = Intake(spool)
            let delivery = spool.delivery(to: client) { $0.maximumRecords = 60 }
            let receipts = try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask {
                    try? await delivery.run()
                    return 0
                }
                group.addTask {
                    var received = 0
                    for batch in 0..<10 {
                        // The last twenty events come again in the next batch.
                        let first = (round * 10 + batch) * 40
                        let receipt = try await intake.accept(IntakeBatch(first..<first + 60))
                        received += receipt.accepted + receipt.duplicates
                    }
                    return received
                }
                group.addTask {
                    for _ in 0..<3 where round % 2 == 0 {
                        try await Task.sleep(for: .milliseconds(.random(in: 0...20)))
                        _ = try await executioner.write(Self.terminate())
                    }
                    return 0
                }
                var received = 0
                for _ in 0..<2 { received += try await group.next() ?? 0 }
                group.cancelAll()
                return received
            }
            acknowledged += receipts
            try folder.copySpool("\(round)", to: "\(round + 1)")
        }
        let spool = try folder.spool("\(rounds)")
        try await spool.delivery(to: client).deliverAll()
        let different = rounds * 400 + 20
        #expect(try await client.storedEvents() == (different, different))
        #expect(try await client.count("SELECT count(*) FROM security_event_keys") == different)
        let expected = ["http": LedgerCounts(stored: different, duplicates: acknowledged - different)]
        #expect(acknowledged == rounds * 600)
        #expect(spool.ledger.snapshot().byInput == expected)
        #expect(try await client.ledger(of: spool) == expected)
    }

    private static let terminate = Statement(
        "test.terminate",
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        """)

    @Test("keeps everything while PostgreSQL is away, and stores it when it is back")
    func outage() async throws {
        let cluster = try await PrivateCluster(in: DataDirectory(folder.path + "/cluster"))
        do {
            try await cluster.start()
            let settings = ConnectionSettings(connectionString: try await cluster.connectionString, applicationName: "outage")
            let client = PostgresClient(PostgresClient.Configuration(connection: settings), logger: .quiet)
            _ = try await Migrator(client: client, logger: .quiet).up()
            let spool = try folder.spool()
            let intake = Intake(spool)
            let delivery = spool.delivery(to: client)
            try await whileDelivering(delivery) {
                _ = try await intake.accept(IntakeBatch(0..<100))
                try await eventually("the first are stored") { spool.ledger.snapshot().total.stored == 100 }
                await cluster.stop(.immediate)
                for start in 1...20 { _ = try await intake.accept(IntakeBatch(start * 100..<start * 100 + 100)) }
                try await eventually("it says that it waits") { if case .waiting = delivery.state { true } else { false } }
                #expect(spool.ledger.snapshot()[.http] == LedgerCounts(stored: 100, spooled: 2000))
                #expect(delivery.lag > .zero)
                try await cluster.start()
                try await eventually("all are stored") { spool.ledger.snapshot().total == LedgerCounts(stored: 2100) }
            }
            #expect(try await client.storedEvents() == (2100, 2100))
            await client.close()
        } catch {
            await cluster.stop(.immediate)
            throw error
        }
        await cluster.stop(.immediate)
    }

    @Test("a full spool has room again once its events are stored, also after a crash before they left the disk", .scratchDatabase)
    func room() async throws {
        let client = ScratchDatabase.current.makeClient()
        let budget = 256 << 10
        let full = try folder.spool(budget: budget)
        var number = 0
        await #expect(throws: IntakeError.full) {
            while true {
                _ = try await Intake(full).accept(IntakeBatch(number..<number + 50))
                number += 50
            }
        }
        // As it lies on the disk when the process ends between the commit and the release.
        try folder.copySpool("test", to: "crashed")
        try await full.delivery(to: client).deliverAll()
        let crashed = try folder.spool("crashed", budget: budget)
        let stored = number
        try await whileDelivering(crashed.delivery(to: client)) {
            try await eventually("there is room") {
                (try? await Intake(crashed).accept(IntakeBatch(stored..<stored + 50))) != nil
            }
            try await eventually("all is stored") { try await client.storedEvents().all == stored + 50 }
        }
    }
}
