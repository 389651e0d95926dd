import Foundation
import Spool
import Testing

@Suite("A damaged spool")
struct DamageTests {
    private let folder = ScratchFolder()

    /// Three records in one segment; the last is 8 + 25 bytes.
    private static let payloads: [[UInt8]] = [Array("first".utf8), Array("second".utf8), [UInt8](0..<25)]

    enum Damage {
        case cut
        case flip
    }

    @Test("loses no more than the last record, wherever that is cut off or changed", arguments: [Damage.cut, .flip])
    func tornTail(damage: Damage) async throws {
        do { try await folder.open().store(Self.payloads) }
        let segment = try folder.segments[0]
        let whole = try Data(contentsOf: URL(filePath: segment))
        for offset in whole.count - 33..<whole.count {
            try ScratchFolder.edit(segment) { content in
                content = whole
                switch damage {
                case .cut: content.removeSubrange(offset...)
                case .flip: content[offset] ^= 1 << UInt8.random(in: 0..<8)
                }
            }
            let log = TestLog()
            let spool = try folder.open(log: log)
            #expect(spool.end == 2, "\(offset)")
            let torn = damage == .cut ? offset - (whole.count - 33) : 33
            #expect(log.text.contains("cut off bytes=\(torn) ") == (torn > 0), "\(offset): \(log.text)")
            try await spool.store([[9]])
            #expect(try spool.readAll().records == [0: Self.payloads[0], 1: Self.payloads[1], 2: [9]], "\(offset)")
        }
    }

    /// A spool with segments of 20 records.
    private func fill(_ segmentCount: UInt64) async throws {
        let spool = try folder.open(segmentSize: 100)
        for segment in 0..<segmentCount {
            try await spool.store((segment * 20..<segment * 20 + 20).map(payload))
        }
        spool.close()
    }

    @Test("tells exactly which records of an older segment cannot be read", arguments: [0, 1, 9, 40, 2000])
    func middle(damagedBytes: Int) async throws {
        try await fill(3)
        // Inside of the payloads of records 27 and, for the longest, some after it.
        let offset = 40 + (20..<27).reduce(0) { $0 + 8 + payload($1).count } + 8
        try ScratchFolder.edit(try folder.segments[1]) { content in
            for index in offset..<offset + damagedBytes { content[index] ^= 0xFF }
        }
        let log = TestLog()
        let spool = try folder.open(segmentSize: 100, log: log)
        let (records, lost) = try spool.readAll(maximumBytes: 500)
        #expect(lost.count == (damagedBytes > 0 ? 1 : 0))
        #expect(lost.first.map { $0.lowerBound == 27 && (damagedBytes < 2000 ? $0.count == 1 : $0.count > 3) } ?? true)
        #expect(log.text.contains("damaged or missing") == (damagedBytes > 0))
        let intact = (UInt64(0)..<60).filter { position in !lost.contains { $0.contains(position) } }
        #expect(records == Dictionary(uniqueKeysWithValues: intact.map { ($0, payload($0)) }))
        // From the midst of the hole.
        if let range = lost.first {
            #expect(try spool.read(from: range.upperBound - 1, maximumBytes: 1).lost == range.upperBound - 1..<range.upperBound)
        }
    }

    @Test("has its other segments when one is missing, empty, cut off, without a legible header, or somebody else's")
    func segments() async throws {
        let foreign = ScratchFolder()
        do { try await foreign.open().store((0..<20).map(payload)) }
        let changes: [(String, (String) throws -> Void, lost: [Range<UInt64>])] = [
            ("missing", { try FileManager.default.removeItem(atPath: $0) }, [20..<40]),
            ("empty", { try Data().write(to: URL(filePath: $0)) }, [20..<40]),
            ("cut in the header", { try ScratchFolder.edit($0) { $0.removeSubrange(17...) } }, [20..<40]),
            ("cut in the last record", { try ScratchFolder.edit($0) { $0.removeLast() } }, [39..<40]),
            ("header changed", { try ScratchFolder.edit($0) { $0[13] ^= 1 } }, []),
            ("foreign", { try Data(contentsOf: URL(filePath: foreign.segments[0])).write(to: URL(filePath: $0)) }, [20..<40]),
        ]
        for (name, change, expected) in changes {
            try? FileManager.default.removeItem(atPath: folder.path)
            try await fill(3)
            try Data("something else".utf8).write(to: URL(filePath: folder.path + "/checkpoint"))
            try Data("something else".utf8).write(to: URL(filePath: folder.path + "/99999999999999999999.segment"))
            try change(try folder.segments[1])
            let spool = try folder.open(segmentSize: 100)
            #expect(spool.end == 60, "\(name)")
            let (records, lost) = try spool.readAll()
            #expect(lost == expected, "\(name)")
            let intact = (UInt64(0)..<60).filter { position in !lost.contains { $0.contains(position) } }
            #expect(records == Dictionary(uniqueKeysWithValues: intact.map { ($0, payload($0)) }), "\(name)")
            spool.release(before: 60)
            spool.close()
            #expect(FileManager.default.fileExists(atPath: folder.path + "/checkpoint"))
        }
    }

    @Test("goes on where it was when making or emptying a segment was interrupted")
    func interrupted() async throws {
        try await fill(2)
        for length in [0, 17, 40] {
            // A third one was begun.
            try Data(count: length).write(to: URL(filePath: folder.path + "/00000000000000000040.segment"))
            let spool = try folder.open(segmentSize: 100)
            #expect(spool.end == 40)
            #expect(try spool.readAll().records.count == 40)
            spool.close()
        }
        // All was released, and the last segment had got its new name, but was not emptied yet.
        let files = try folder.segments
        try FileManager.default.removeItem(atPath: files[0])
        try FileManager.default.removeItem(atPath: files[2])
        try FileManager.default.moveItem(atPath: files[1], toPath: files[2])
        let spool = try folder.open(segmentSize: 100)
        #expect(spool.start == 40)
        #expect(spool.end == 40)
        try await spool.store([[1]])
        #expect(try spool.readAll(from: 40).records == [40: [1]])
    }

    @Test("does not take for a record what a sender has put into one")
    func forgery() async throws {
        let other = ScratchFolder()
        do { try await other.open().store((0..<20).map(payload)) }
        let frames = try Data(contentsOf: URL(filePath: other.segments[0]))[40...]
        do { try await folder.open().store([[1], Array(frames), [2]]) }
        // The length of the record with the frames.
        try ScratchFolder.edit(try folder.segments[0]) { $0[40 + 9 + 4] ^= 1 }
        let (records, lost) = try folder.open().readAll()
        #expect(records.count == 2)
        #expect(records[0] == [1])
        #expect(records[try #require(lost.first).upperBound] == [2])
    }

    @Test("keeps its identity when the file is gone or illegible", arguments: [nil, "", "no identity at all, but 33 letters"])
    func identity(content: String?) async throws {
        try await fill(1)
        let id = try folder.open().id
        let file = folder.path + "/identity"
        try FileManager.default.removeItem(atPath: file)
        if let content { try Data(content.utf8).write(to: URL(filePath: file)) }
        #expect(try folder.open().id == id)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "\(id)\n")
    }

    @Test("refuses a format that it does not know")
    func otherVersion() async throws {
        try await fill(1)
        try ScratchFolder.edit(try folder.segments[0]) { content in
            content[8] = 2
            let reference = crc32(content[..<36])
            withUnsafeBytes(of: reference.littleEndian) { content.replaceSubrange(36..<40, with: $0) }
        }
        #expect(throws: SpoolError.failed(ENOTSUP)) { _ = try folder.open() }
    }

    @Test("never gives a record a lower position than it had, and gives no other bytes", arguments: 0..<20)
    func anyDamage(seed: Int) async throws {
        try await fill(4)
        for file in try folder.segments where Bool.random() {
            try ScratchFolder.edit(file) { content in
                for _ in 0..<Int.random(in: 1...4) {
                    let start = Int.random(in: 0..<content.count)
                    let end = min(content.count, start + Int.random(in: 1...600))
                    switch Int.random(in: 0..<5) {
                    case 0: content.replaceSubrange(start..<end, with: Data(count: end - start))
                    case 1: content.replaceSubrange(start..<end, with: (start..<end).map { _ in UInt8.random(in: .min ... .max) })
                    case 2: content[start] ^= 1 << UInt8.random(in: 0..<8)
                    case 3 where start > 0: content.removeSubrange(start...)
                    default: break
                    }
                }
            }
        }
        let spool = try folder.open(segmentSize: 100)
        let (records, lost) = try spool.readAll(maximumBytes: .random(in: 1...5000))
        #expect(records.count + lost.reduce(0) { $0 + $1.count } == spool.end)
        var before: UInt64?
        for (position, bytes) in records.sorted(by: { $0.key < $1.key }) {
            let original = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            #expect(bytes == payload(original))
            #expect(original <= position)
            #expect(before.map { $0 < original } ?? true)
            before = original
        }
        // What was found is found again, also behind what comes after it.
        let end = try await spool.store([[1]])
        spool.close()
        let again = try folder.open(segmentSize: 100)
        try await again.store((0..<20).map(payload))
        try await again.store([[2]])
        let (sameRecords, sameLost) = try again.readAll()
        #expect(sameLost == lost)
        #expect(sameRecords.filter { $0.key < end - 1 } == records)
    }

    @Test("is inspected without being touched")
    func inspection() async throws {
        try await fill(3)
        let files = try folder.segments
        try ScratchFolder.edit(files[1]) { $0[60] ^= 1 }
        try ScratchFolder.edit(files[2]) { $0.removeLast(3) }
        let before = try files.map { try Data(contentsOf: URL(filePath: $0)) }
        var positions: [UInt64] = []
        let inspection = try SpoolInspection(folder: folder.path) { record in
            #expect(Array(record.payload) == payload(record.position))
            positions.append(record.position)
        }
        #expect(positions == Array(0..<20) + Array(21..<59))
        #expect(inspection.segments.map(\.firstPosition) == [0, 20, 40])
        #expect(inspection.segments.map(\.recordCount) == [20, 19, 19])
        #expect(inspection.segments.map(\.byteCount) == before.map(\.count))
        #expect(inspection.segments.map(\.lost) == [[], [20..<21], []])
        #expect(inspection.segments.map { $0.tornBytes > 0 } == [false, false, true])
        #expect(try files.map { try Data(contentsOf: URL(filePath: $0)) } == before)
        #expect(try folder.open().id == inspection.id)
    }
}

private func crc32(_ bytes: Data) -> UInt32 {
    ~bytes.reduce(~0) { sum, byte in
        (0..<8).reduce(sum ^ UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 0 ? 0 : 0xEDB8_8320) }
    }
}
