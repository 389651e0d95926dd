/// What lies in a spool's folder, seen without touching anything: it takes no lock, and may look while a process uses the spool.
/// Then the newest segment can seem torn, where a batch is being written, and segments can be gone before it comes to them.
public struct SpoolInspection: Sendable {
    public struct Segment: Sendable {
        /// The file's.
        public let name: String
        public let firstPosition: UInt64
        /// Intact ones.
        public let recordCount: Int
        public let byteCount: Int
        /// Positions of records that cannot be read.
        public let lost: [Range<UInt64>]
        /// Bytes at the end that do not make a record. The next opening cuts them off.
        public let tornBytes: Int
        public let isHeaderDamaged: Bool
    }

    /// nil when the file is missing or illegible; the segments have the id too.
    public let id: SpoolID?
    /// In the order of their positions.
    public let segments: [Segment]

    /// - Parameter record: called for each intact record, in order. What it throws ends the inspection.
    public init(folder path: String, record: (SpoolRecord) throws -> Void = { _ in }) throws {
        let folder = try SpoolFolder(path: path)
        let id = try folder.readIdentity()
        let positions = try folder.segmentPositions()
        var segments: [Segment] = []
        for (index, position) in positions.enumerated() {
            let end = index + 1 < positions.count ? positions[index + 1] : nil
            segments.append(try Self.inspect(position, until: end, of: id, in: folder, record: record))
        }
        self.id = id
        self.segments = segments
    }

    private static func inspect(
        _ position: UInt64, until end: UInt64?, of id: SpoolID?, in folder: SpoolFolder, record: (SpoolRecord) throws -> Void
    ) throws -> Segment {
        let file = try folder.openSegment(position)
        let bytes = try file.read(upTo: try file.size(), at: 0)
        let header = bytes.withUnsafeBytes { SegmentHeader.find(in: $0) }
        let spool = if case .intact(let header) = header { header.spool } else { id }
        let seed = spool?.checksumSeed ?? 0
        let scan = bytes.withUnsafeBytes { SegmentScan($0, seed: seed, firstPosition: position, end: end) }
        for run in scan.runs {
            var offset = run.offset
            for index in 0..<run.count {
                let length = bytes.withUnsafeBytes { RecordFrame.payloadLength(in: $0, at: offset) }
                let start = offset + RecordFrame.headerSize
                try record(
                    SpoolRecord(position: run.firstPosition + UInt64(index), payload: bytes[start..<start + length]))
                offset = start + length
            }
        }
        return Segment(
            name: SpoolFolder.segmentName(position), firstPosition: position, recordCount: scan.runs.reduce(0) { $0 + $1.count },
            byteCount: bytes.count, lost: scan.holes.map(\.positions), tornBytes: scan.tornBytes,
            isHeaderDamaged: header == .damaged)
    }
}
