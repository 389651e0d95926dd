import Development
import Foundation
import Spool
import Synchronization
import Testing

@Suite("A spool")
struct SpoolTests {
    private let folder = ScratchFolder()

    @Test("gives back what was appended, also after restarts, from any position on", arguments: [1, 700, 1 << 20])
    func roundTrip(maximumBytes: Int) async throws {
        var identities: Set<SpoolID> = []
        for round in UInt64(0)..<4 {
            let spool = try folder.open(segmentSize: 20_000)
            identities.insert(spool.id)
            #expect(spool.end == round * 100)
            for first in stride(from: round * 100, to: (round + 1) * 100, by: 20) {
                #expect(try await spool.store((first..<first + 20).map(payload)) == first + 20)
            }
            let (records, lost) = try spool.readAll(maximumBytes: maximumBytes)
            #expect(lost.isEmpty)
            #expect(records == Dictionary(uniqueKeysWithValues: (0..<spool.end).map { ($0, payload($0)) }))
            for position in [0, 1, 57, spool.end - 1] {
                let first = try spool.read(from: position, maximumBytes: maximumBytes).records.first
                #expect(first?.position == position)
                #expect(first.map { Array($0.payload) } == payload(position))
            }
            spool.close()
        }
        #expect(identities.count == 1)
        #expect(try folder.segments.count > 3)
    }

    @Test("takes empty batches, empty records, and batches larger than a segment")
    func sizes() async throws {
        let spool = try folder.open(segmentSize: 1000)
        #expect(try spool.append(RecordBatch()) == 0)
        let payloads: [[UInt8]] = [[], [1], [UInt8](repeating: 2, count: 5000), []]
        try await spool.store(payloads)
        try await spool.store([[7]])
        let (records, _) = try spool.readAll(maximumBytes: 100)
        #expect((0..<5).map { records[$0] } == payloads + [[7]])
        #expect(try folder.segments.count == 2)
    }

    @Test("forgets a record whose payload could not be made")
    func failedPayload() throws {
        struct Failure: Error {}
        var batch = RecordBatch([[1]])
        #expect(throws: Failure.self) {
            try batch.append { (bytes: inout [UInt8]) throws(Failure) in
                bytes.append(5)
                throw Failure()
            }
        }
        batch.append([2])
        let spool = try folder.open()
        #expect(try spool.append(batch) == 2)
        spool.close()
        let records = try folder.open().readAll().records
        #expect(records == [0: [1], 1: [2]])
    }

    @Test("is for one opener at a time, and for its owner's eyes")
    func twoOpeners() throws {
        let first = try folder.open()
        #expect(throws: SpoolError.inUse) { _ = try folder.open() }
        first.close()
        _ = try folder.open()
        // The object that had it is gone.
        _ = try folder.open()
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path)
        #expect(attributes[.posixPermissions] as? Int == 0o700)
    }

    @Test("loses and reorders nothing when many append while one reads")
    func concurrency() async throws {
        let spool = try folder.open(segmentSize: 30_000)
        let appenders = UInt64(8)
        let batches = UInt64(40)
        let seen = try await withThrowingTaskGroup(of: [[UInt8]].self) { group in
            group.addTask {
                var seen: [[UInt8]] = []
                while seen.count < appenders * batches * 3, await spool.waitForRecords(from: UInt64(seen.count)) {
                    let reading = try spool.read(from: UInt64(seen.count), maximumBytes: 4000)
                    seen += reading.records.map { Array($0.payload) }
                    spool.release(before: reading.next)
                }
                return seen
            }
            for appender in 0..<appenders {
                group.addTask {
                    for batch in 0..<batches {
                        try await spool.store((0..<3).map { payload(appender << 32 | batch << 8 | $0) })
                    }
                    return []
                }
            }
            var seen: [[UInt8]] = []
            for try await part in group { seen += part }
            return seen
        }
        #expect(Set(seen).count == seen.count)
        #expect(UInt64(seen.count) == appenders * batches * 3)
        for appender in 0..<appenders {
            let own = seen.filter { $0[4] == UInt8(appender) && $0[5..<8].allSatisfy { $0 == 0 } }
            let expected = (0..<batches).flatMap { batch in (0..<3).map { payload(appender << 32 | batch << 8 | $0) } }
            #expect(own == expected)
        }
    }

    @Test("serves nothing that is not durable, and wakes readers and waiters when it is", .timeLimit(.minutes(1)))
    func waiting() async throws {
        let spool = try folder.open()
        let reader = Task { await spool.waitForRecords(from: 1) }
        let cancelled = Task { await spool.waitForRecords(from: 1) }
        let left = Task { await spool.waitForRecords(from: 2) }
        cancelled.cancel()
        #expect(await cancelled.value == false)
        let durable = Task { try await spool.waitUntilDurable(2) }
        durable.cancel()
        try await spool.store([[1]])
        #expect(spool.durableEnd == 1)
        try spool.append(RecordBatch([[2]]))
        #expect(await reader.value)
        try await durable.value
        #expect(try spool.read(from: 2, maximumBytes: 100).next == 2)
        let never = Task { try await spool.waitUntilDurable(3) }
        // Both wait now, or will find the spool closed.
        spool.close()
        #expect(await left.value == false)
        await #expect(throws: SpoolError.closed) { try await never.value }
        #expect(throws: SpoolError.closed) { try spool.append(RecordBatch([[3]])) }
        #expect(throws: SpoolError.closed) { try spool.append(RecordBatch()) }
        #expect(throws: SpoolError.closed) { try spool.read(from: 0, maximumBytes: 100) }
    }

    @Test("keeps to its budget, and takes more when records are released")
    func budget() async throws {
        let spool = try folder.open(budget: 40_000)
        let batch = RecordBatch([[UInt8](repeating: 1, count: 992)])
        #expect(throws: SpoolError.full) { while true { try spool.append(batch) } }
        let kept = spool.end
        #expect(kept >= 38)
        #expect(spool.bytesOnDisk <= 40_000)
        let taken = try folder.segments.reduce(0) { try $0 + Data(contentsOf: URL(filePath: $1)).count }
        #expect(spool.bytesOnDisk == taken)
        try await spool.waitUntilDurable(kept)
        // The first segment has fewer records than this.
        spool.release(before: 10)
        #expect(1...10 ~= spool.start)
        #expect(try spool.append(batch) == kept + 1)
        #expect(try spool.read(from: spool.start, maximumBytes: 1).records.first?.position == spool.start)
        #expect(try spool.read(from: 0, maximumBytes: 1).lost == 0..<spool.start)
    }

    @Test("gives the disk back when all is released, and its positions go on, also after a restart")
    func releaseAll() async throws {
        var end: UInt64 = 0
        for _ in 0..<3 {
            let spool = try folder.open(segmentSize: 5000)
            #expect(spool.end == end)
            #expect(spool.start == end)
            for first in stride(from: end, to: end + 60, by: 10) {
                end = try await spool.store((first..<first + 10).map(payload))
            }
            spool.release(before: end - 60)
            #expect(spool.start == end - 60)
            spool.release(before: end + 1000)
            #expect(spool.start == end)
            #expect(spool.bytesOnDisk == 40)
            #expect(try folder.segments.count == 1)
            end = try await spool.store([payload(end)])
            #expect(try spool.readAll(from: end - 1).records == [end - 1: payload(end - 1)])
            spool.close()
            end = try folder.open(segmentSize: 5000).end
            let again = try folder.open(segmentSize: 100)
            again.release(before: end)
        }
    }

    @Test("can leave positions out")
    func advance() async throws {
        let spool = try folder.open()
        try await spool.store([[1]])
        try spool.advance(to: 1)
        try spool.advance(to: 50)
        try await spool.store([[2]])
        let (records, lost) = try spool.readAll()
        #expect(records == [0: [1], 50: [2]])
        #expect(lost == [1..<50])
        spool.release(before: 50)
        #expect(spool.start == 50)
        spool.close()
        #expect(try folder.open().end == 51)
    }

    @Test("has all that was acknowledged after its process was killed", .timeLimit(.minutes(1)))
    func killed() async throws {
        let writer = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "spool-writer").path
        var checked: UInt64 = 0
        for acknowledgements in [1, 7, 30, 15] {
            let (lines, continuation) = AsyncStream.makeStream(of: String.self)
            let process = try await ChildProcess.start(Command(writer, [folder.path], output: .stream(continuation)))
            var acknowledged: [UInt64] = []
            for await line in lines {
                acknowledged.append(try #require(UInt64(line)))
                if acknowledged.count == acknowledgements { process.send(SIGKILL) }
            }
            _ = await process.wait()
            #expect(acknowledged.count >= acknowledgements)

            let spool = try folder.open()
            #expect(try #require(acknowledged.last) <= spool.end)
            let (records, lost) = try spool.readAll(from: checked)
            #expect(lost.isEmpty)
            let wrong = records.filter { $1 != Array(String(repeating: "\($0)", count: Int($0 % 300)).utf8) }
            #expect(wrong.isEmpty)
            checked = spool.end
            spool.close()
        }
    }

    @Test("can be read with the program in its documentation")
    func documentedReader() async throws {
        let spool = try folder.open(segmentSize: 5000)
        try await spool.store((0..<100).map(payload))
        try await spool.store((100..<130).map(payload))
        spool.release(before: 100)
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let document = try String(contentsOf: root.appending(path: "docs/ingest.md"), encoding: .utf8)
        let programs = document.split(separator: "```python\n").dropFirst().compactMap { $0.split(separator: "```").first }
        let program = try #require(programs.first { $0.contains("*.segment") })
        let python = ProcessInfo.processInfo.environment["ATTUNE_TEST_PYTHON"] ?? "python3"
        let result = try await ChildProcess.run("/usr/bin/env", [python, "-c", String(program), folder.path])
        #expect(result.exit == .code(0), "\(result.output)")
        let expected = (UInt64(100)..<130).map { "\($0) \(payload($0).count) bytes" }
        #expect(result.output.split(separator: "\n").map(String.init) == expected)
    }
}
