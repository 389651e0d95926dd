import Domain
import Events
import Foundation
import TestSupport
import Testing

@testable import Delivery

@Suite("Dead letters")
struct DeadLetterTests {
    private let folder = ScratchFolder()

    private func letter(_ position: UInt64, _ raw: [UInt8] = Array("not an event".utf8)) -> DeadLetter {
        DeadLetter(position: position, at: Instant(microseconds: 5_000), input: .tcp, reason: "not JSON", raw: raw[...])
    }

    /// An event that PostgreSQL has refused.
    private func refused(_ position: UInt64, _ event: ReportedEvent) throws -> DeadLetter {
        var entry: [UInt8] = []
        try SpoolEntry.append(event, key: event.key, input: .http, to: &entry)
        guard case .event(_, _, let row) = try SpoolEntry(decoding: entry[...]) else { throw CancellationError() }
        return DeadLetter(position: position, input: .http, reason: "refused", row: row, entry: entry[...])
    }

    private func list() async throws -> [DeadLetter] {
        var letters: [DeadLetter] = []
        try await DeadLetters.list(folder: folder.path) { letters.append($0) }
        return letters
    }

    private func file(maximumSize: Int = DeadLetterFile.maximumSize) -> DeadLetterFile {
        DeadLetterFile(folder: folder.path, maximumSize: maximumSize, logger: .quiet)
    }

    @Test("come out as they went in, whatever bytes they hold")
    func roundTrip() async throws {
        let letters = [
            letter(1), letter(2, []), letter(3, [0xFF, 0x0A, 0x00, 0x22]), letter(4, Array("quoted \" \\ \n line, ümlaut".utf8)),
            DeadLetter(position: 5, damage: "3 records were lost"),
        ]
        try await file().append(letters)
        let read = try await list()
        #expect(read.dropLast() == letters.dropLast())
        #expect(read.last?.reason == "3 records were lost")
        let permissions = try FileManager.default.attributesOfItem(atPath: folder.path + "/dead-letters.ndjson")[.posixPermissions]
        #expect(permissions as? Int == 0o600)
    }

    @Test("show a refused event in the form in which the daemon takes events")
    func eventForm() async throws {
        var refusedEvent = event(7)
        refusedEvent.context = #"{"count":3}"#
        try await file().append([try refused(1, refusedEvent)])
        let shown = try #require(try await list().first?.event)
        var again = try EventReader(defaultSource: "other").read(Array(shown.text.utf8)[...], receivedAt: .now())
        // A row does not hold the id.
        again.id = refusedEvent.id
        #expect(again == refusedEvent)
    }

    @Test("are not written twice when a batch is delivered again after a crash")
    func again() async throws {
        try await file().append([letter(3), letter(5)])
        let reopened = file()
        try await reopened.append([letter(3), letter(5), letter(8)])
        try await reopened.append([letter(8)])
        #expect(try await list().map(\.position) == [3, 5, 8])
    }

    @Test("follow a line that a crash has left unfinished")
    func tornLine() async throws {
        try await file().append([letter(1)])
        let path = folder.path + "/dead-letters.ndjson"
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(#"{"position":2,"at":1,"inp"#.utf8))
        try handle.close()
        try await file().append([letter(2), letter(3)])
        #expect(try await list().map(\.position) == [1, 2, 3])
    }

    @Test("that are no events are no longer kept when the file is full; events wait")
    func full() async throws {
        let file = file(maximumSize: 300)
        for position in 1...10 { try await file.append([letter(UInt64(position))]) }
        let kept = try await list().count
        #expect(kept > 0 && kept < 10)
        let event = try refused(11, event(1))
        await #expect(throws: DeadLetterError.self) { try await file.append([event]) }
        #expect(try await list().count == kept)
        // Replayed or removed.
        try FileManager.default.removeItem(atPath: folder.path + "/dead-letters.ndjson")
        try await file.append([event])
        #expect(try await list() == [event])
    }

    @Test("are replayed also when an earlier replay was interrupted, and what comes meanwhile stays behind the others")
    func interruptedReplay() async throws {
        let file = file()
        try await file.append([letter(1), try refused(2, event(2))])
        #expect(try DeadLetterFolder(folder.path).beginReplay())
        try await file.append([try refused(3, event(3)), letter(4)])
        #expect(try await list().map(\.position) == [1, 2, 3, 4])
        let spool = try folder.spool()
        let intake = Intake(spool)
        #expect(try await DeadLetters.replay(folder: folder.path, into: intake) == DeadLetters.Replay(replayed: 2, kept: 2))
        #expect(try await list().map(\.position) == [1, 4])
        #expect(spool.ledger.snapshot()[.http] == LedgerCounts(spooled: 2))
    }
}
