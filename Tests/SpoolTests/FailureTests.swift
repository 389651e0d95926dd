import Development
import Foundation
import Spool
import Testing

@Suite("A spool whose disk fails")
struct FailureTests {
    private let folder = ScratchFolder()

    @Test("refuses everything after a failed fsync, but gives what was durable before", .timeLimit(.minutes(1)))
    func failedSynchronization() async throws {
        let log = TestLog()
        let spool = try folder.open(log: log)
        try await spool.store([[1]])
        // Takes every write, and refuses fsync.
        try replaceSegment(by: "/dev/null")
        await #expect(throws: SpoolError.failed(EINVAL)) { try await spool.store([[2]]) }
        #expect(throws: SpoolError.failed(EINVAL)) { try spool.append(RecordBatch([[3]])) }
        await #expect(throws: SpoolError.failed(EINVAL)) { try await spool.waitUntilDurable(3) }
        try await spool.waitUntilDurable(1)
        #expect(await spool.waitForRecords(from: 0))
        #expect(await spool.waitForRecords(from: 1) == false)
        #expect(try spool.readAll().records == [0: [1]])
        #expect(log.text.contains("critical cannot make the spool durable"))
        spool.close()
        #expect(try folder.open().readAll().records == [0: [1]])
    }

    @Test("refuses everything when a half-written batch cannot be removed")
    func failedRemoval() async throws {
        let spool = try folder.open()
        try await spool.store([[1]])
        // Refuses every write, and being cut.
        try replaceSegment(by: "/dev/full")
        #expect(throws: SpoolError.diskFull) { try spool.append(RecordBatch([[2]])) }
        #expect(throws: SpoolError.failed(EINVAL)) { try spool.append(RecordBatch([[2]])) }
        #expect(try spool.readAll().records == [0: [1]])
    }

    /// Puts a device under the descriptors that the spool has of its segment.
    private func replaceSegment(by device: String) throws {
        let segment = try folder.segments[0]
        let file = open(device, O_RDWR | O_CLOEXEC)
        defer { close(file) }
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
            if target == segment, let descriptor = Int32(name) { dup2(file, descriptor) }
        }
    }

    @Test(
        "keeps nothing of a batch that the disk has no room for, and goes on when there is some again",
        .enabled("mounting a small disk needs root, and a container that lets it") {
            try await ChildProcess.run("/usr/bin/env", ["unshare", "--mount", "true"]).exit == .code(0)
        })
    func fullDisk() async throws {
        try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
        let mounted = try await ChildProcess.run("/usr/bin/env", ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.path])
        try #require(mounted.exit == .code(0), "\(mounted.output)")
        let outcome = await Result { try await fill() }
        _ = try await ChildProcess.run("/usr/bin/env", ["umount", "--lazy", folder.path])
        try outcome.get()
    }

    private func fill() async throws {
        let spool = try folder.open(segmentSize: 100_000)
        let batch = RecordBatch((0..<30).map { _ in [UInt8](repeating: 1, count: 1000) })
        #expect(throws: SpoolError.diskFull) { while true { try spool.append(batch) } }
        let end = spool.end
        #expect(end % 30 == 0)
        #expect(throws: SpoolError.diskFull) { try spool.append(batch) }
        try await spool.waitUntilDurable(end)
        #expect(try spool.readAll().records.count == end)
        let inspection = try SpoolInspection(folder: folder.path)
        #expect(inspection.segments.map(\.tornBytes).allSatisfy { $0 == 0 })
        #expect(inspection.segments.map(\.byteCount).reduce(0, +) == spool.bytesOnDisk)

        spool.release(before: end / 2)
        #expect(try spool.append(batch) == end + 30)
        try await spool.waitUntilDurable(end + 30)
        spool.close()
        let again = try folder.open()
        #expect(again.end == end + 30)
        // Another program takes all the room that is left: nothing new can be made, but what is there can be emptied.
        try Data().write(to: URL(filePath: folder.path + "/other"))
        let other = try FileHandle(forWritingTo: URL(filePath: folder.path + "/other"))
        while (try? other.write(contentsOf: Data(count: 4096))) != nil {}
        try other.close()
        again.release(before: end + 30)
        #expect(again.bytesOnDisk < 31_000)
        #expect(try again.append(batch) == end + 60)
        try await again.waitUntilDurable(end + 60)
        again.close()
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
