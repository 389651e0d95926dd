import Domain
import Foundation
import TestSupport
import Testing

@testable import Delivery

@Suite("A reporter with a spool", .scratchDatabase, .timeLimit(.minutes(3)))
struct SpooledReporterTests {
    private let folder = ScratchFolder()
    private let client = ScratchDatabase.current.makeClient()

    private func nameless(_ details: String) -> ReportedEvent {
        ReportedEvent(
            source: "attune-api", occurredAt: .now(), type: SecurityEventType.loginFail, severity: .low, details: details)
    }

    @Test("reports each event once, also the same one twice")
    func reports() async throws {
        let spool = try folder.spool()
        let reporter = SpooledReporter(Intake(spool), source: "attune-api", logger: .quiet)
        for _ in 1...3 { reporter.report(nameless("the same")) }
        try await spool.delivery(to: client).deliverAll()
        #expect(try await client.storedEvents() == (3, 1))
        #expect(try await client.count("SELECT count(*) FROM security_event_keys") == 3)
        #expect(spool.ledger.snapshot()[.api] == LedgerCounts(stored: 3))
    }

    @Test("does not fail when the spool is full, and tells how many events were lost when there is room again")
    func losses() async throws {
        let spool = try folder.spool(budget: 64 << 10)
        let reporter = SpooledReporter(Intake(spool), source: "attune-api", logger: .quiet)
        // Shorter than what tells of them, which does not fit either then.
        for _ in 1...1000 { reporter.report(nameless("x")) }
        let kept = spool.ledger.snapshot()[.api].spooled
        #expect(kept > 100 && kept < 1000)
        reporter.tellOfLost()
        #expect(spool.ledger.snapshot()[.api].spooled == kept)
        try await spool.delivery(to: client).deliverAll()
        reporter.tellOfLost()
        reporter.tellOfLost()
        try await spool.delivery(to: client).deliverAll()
        #expect(try await client.storedEvents().all == kept + 1)
        let told = try await client.text(
            "SELECT (metadata ->> 'context')::json ->> 'count' FROM security_events WHERE type = 'attune_events_lost'")
        #expect(told == "\(1000 - kept)")
    }
}

@Suite("Adoption of spools", .scratchDatabase, .timeLimit(.minutes(3)))
struct SpoolAdoptionTests {
    private let folder = ScratchFolder()
    private let client = ScratchDatabase.current.makeClient()

    @Test("delivers what processes have left behind that do not run any more, and leaves the others alone")
    func adoption() async throws {
        let folders = SpoolFolders(dataFolder: folder.path)
        let left = try EventSpool(folder: folders.api(port: 3210), logger: .quiet)
        try await left.store([event(1), event(2)])
        left.close()
        let running = try EventSpool(folder: folders.ingest(port: 3230), logger: .quiet)
        try await running.store([event(3)])
        let adoption = SpoolAdoption(folders: folders, client: client, interval: .milliseconds(20), logger: .quiet)
        let task = Task { try await adoption.run() }
        try await eventually("the first one is delivered") { try await client.storedEvents().all == 2 }
        // The process comes back, and ends again.
        let back = try await EventSpool.open(folder: folders.api(port: 3210), logger: .quiet)
        #expect(back.ledger.snapshot()[.http] == LedgerCounts(stored: 2))
        try await back.store([event(4)])
        back.close()
        try await eventually("what it left is delivered") { try await client.storedEvents().all == 3 }
        task.cancel()
        _ = try? await task.value
        #expect(running.ledger.snapshot()[.http] == LedgerCounts(spooled: 1))
    }
}
