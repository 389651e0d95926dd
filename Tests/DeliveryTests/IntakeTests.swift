import Domain
import Events
import Testing

@testable import Delivery

@Suite("An intake")
struct IntakeTests {
    private let folder = ScratchFolder()

    @Test("tells new events, known ones and rejected ones apart, within a batch and later")
    func receipts() async throws {
        let spool = try folder.spool()
        let intake = Intake(spool)
        var batch = try IntakeBatch([1, 2, 1, 3])
        batch.addRejected("{".utf8, EventRejection("not JSON"), input: .tcp)
        #expect(try await intake.accept(batch) == Receipt(accepted: 3, duplicates: 1, rejected: 1))
        #expect(try await intake.accept(IntakeBatch([3, 4])) == Receipt(accepted: 1, duplicates: 1))
        #expect(try await intake.accept(IntakeBatch()) == Receipt(accepted: 0, duplicates: 0))
        // Records: four events, the rejected one, and two counts of duplicates.
        #expect(spool.spool.durableEnd == 7)
        #expect(spool.ledger.snapshot()[.http] == LedgerCounts(spooled: 6))
        #expect(spool.ledger.snapshot()[.tcp] == LedgerCounts(spooled: 1))
    }

    @Test("never takes events without an id for known ones")
    func withoutID() async throws {
        let intake = Intake(try folder.spool())
        var nameless = event(1)
        nameless.id = nil
        for _ in 1...2 {
            var batch = IntakeBatch()
            try batch.add(nameless, input: .unix)
            #expect(try await intake.accept(batch) == Receipt(accepted: 1, duplicates: 0))
        }
    }

    @Test("knows what is in the spool after a restart, and counts it")
    func restart() async throws {
        let first = try folder.spool()
        _ = try await Intake(first).accept(IntakeBatch([1, 2, 2]))
        try folder.copySpool("test", to: "copy")
        let second = try folder.spool("copy")
        #expect(second.ledger.snapshot() == first.ledger.snapshot())
        #expect(try await Intake(second).accept(IntakeBatch([2, 3])) == Receipt(accepted: 1, duplicates: 1))
        #expect(second.ledger.snapshot()[.http] == LedgerCounts(spooled: 5))
    }

    @Test("forgets the events of a batch that did not fit, takes what fits, and says that it is full")
    func full() async throws {
        let spool = try folder.spool(budget: 64 << 10)
        let intake = Intake(spool)
        await #expect(throws: IntakeError.full) { try await intake.accept(IntakeBatch(1...1000)) }
        #expect(spool.spool.end == 0)
        #expect(spool.ledger.snapshot().lines.isEmpty)
        #expect(try await intake.accept(IntakeBatch(1...10)) == Receipt(accepted: 10, duplicates: 0))
    }

    @Test("tells each event new once, whoever asks at the same time")
    func concurrency() async throws {
        let spool = try folder.spool(budget: 256 << 10)
        let intake = Intake(spool)
        let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
            for task in 0..<16 {
                group.addTask {
                    var accepted = 0
                    for round in 0..<20 {
                        // Now and then one that does not fit, with events that others report too.
                        let size = (task + round) % 5 == 0 ? 2000 : 5
                        do {
                            accepted += try await intake.accept(IntakeBatch(round * 5..<round * 5 + size)).accepted
                        } catch IntakeError.full {}
                    }
                    return accepted
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(accepted == 100)
        var keys: [UUIDBits] = []
        _ = try SpoolCensus(of: spool.spool, 0..<spool.spool.end) { keys.append($0) }
        #expect(keys.count == 100)
        #expect(Set(keys).count == 100)
    }
}

@Suite("Recent keys")
struct RecentKeysTests {
    @Test("are those of a set, as long as nothing is forgotten")
    func reference() {
        var keys = RecentKeys()
        var reference: Set<UUIDBits> = []
        var generator = SystemRandomNumberGenerator()
        var differences = 0
        for _ in 0..<10_000 {
            // Few different values for the low bits, so that many keys want the same place.
            let key = UUIDBits(high: .random(in: 1...4, using: &generator), low: .random(in: 0...300, using: &generator))
            if Bool.random() {
                let isNew = keys.insert(key)
                if isNew != reference.insert(key).inserted { differences += 1 }
            } else {
                keys.remove(key)
                reference.remove(key)
            }
        }
        #expect(differences == 0)
    }

    @Test("are at least the last generation and at most the last two")
    func generations() {
        var keys = RecentKeys(generationSize: 10)
        let all = (1...35).map { UUIDBits(high: 0, low: UInt64($0)) }
        #expect(all.map { keys.insert($0) } == all.map { _ in true })
        #expect(all[25...].map { keys.insert($0) } == all[25...].map { _ in false })
        let isForgotten = keys.insert(all[0])
        #expect(isForgotten)
    }
}
