import Logging

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What a spool's folder holds after a crash has been put in order.
struct RecoveredSpool {
    let id: SpoolID
    /// Never empty.
    let segments: [Segment]
    /// The last segment's.
    let newestFile: OpenFile
    /// The position after the last record.
    let end: UInt64
}

extension SpoolFolder {
    /// Call with the folder's lock held.
    func recover(logger: Logger) throws(SpoolError) -> RecoveredSpool {
        var headers: [(position: UInt64, header: SegmentHeader.Finding)] = []
        for position in try segmentPositions() {
            headers.append((position, try readHeader(of: position, logger: logger)))
        }
        let id = try recoverIdentity(headers.map(\.header), logger: logger)

        var positions: [UInt64] = []
        for (position, finding) in headers {
            let expected = SegmentHeader(spool: id, firstPosition: position)
            if case .intact(let header) = finding, header != expected {
                guard header.spool == id, try isReleased(position, header) else {
                    logger.error(
                        "a segment that does not belong to the spool is put aside",
                        metadata: ["segment": "\(Self.segmentName(position))", "spool": "\(header.spool)"])
                    try renameSegment(position, to: segmentPath(position) + ".foreign")
                    continue
                }
                try openSegment(position, flags: O_RDWR).reset(to: expected)
            } else if finding == .damaged {
                try repairHeader(expected, logger: logger)
            }
            positions.append(position)
        }

        var segments: [Segment] = []
        for position in positions.dropLast() {
            segments.append(Segment(firstPosition: position, byteCount: try openSegment(position).size()))
        }
        let (file, byteCount, end) = try recoverNewest(positions.last, id: id, logger: logger)
        segments.append(Segment(firstPosition: positions.last ?? 0, byteCount: byteCount))
        return RecoveredSpool(id: id, segments: segments, newestFile: file, end: end)
    }

    private func readHeader(of position: UInt64, logger: Logger) throws(SpoolError) -> SegmentHeader.Finding {
        let bytes = try openSegment(position).read(upTo: SegmentHeader.size, at: 0)
        let finding = bytes.withUnsafeBytes { SegmentHeader.find(in: $0) }
        if case .otherVersion(let version) = finding {
            logger.critical(
                "a segment of the spool has a format that this version does not know",
                metadata: ["segment": "\(Self.segmentName(position))", "version": "\(version)"])
            throw .failed(ENOTSUP)
        }
        return finding
    }

    /// Whether emptying the segment was interrupted, and not somebody's hand has renamed it: all that is in it comes before the
    /// position in its name.
    private func isReleased(_ position: UInt64, _ header: SegmentHeader) throws(SpoolError) -> Bool {
        let file = try openSegment(position)
        let bytes = try file.read(upTo: try file.size(), at: 0)
        if bytes.count == SegmentHeader.size { return header.firstPosition < position }
        return bytes.withUnsafeBytes {
            SegmentScan($0, seed: header.spool.checksumSeed, firstPosition: header.firstPosition, end: nil).end == position
        }
    }

    /// The name tells all that a header does.
    private func repairHeader(_ header: SegmentHeader, logger: Logger) throws(SpoolError) {
        let file = try openSegment(header.firstPosition, flags: O_RDWR)
        // Making it was interrupted, or there is nothing in it to save.
        guard try file.size() >= SegmentHeader.size else { return }
        logger.error(
            "the header of a segment was damaged", metadata: ["segment": "\(Self.segmentName(header.firstPosition))"])
        try file.write(header.bytes, at: 0)
        try file.synchronize()
    }

    /// The id from its file, else from the segments, else a new one.
    private func recoverIdentity(_ headers: [SegmentHeader.Finding], logger: Logger) throws(SpoolError) -> SpoolID {
        if let id = try readIdentity() { return id }
        for case .intact(let header) in headers {
            logger.warning("the spool's identity was missing and is taken from a segment", metadata: ["spool": "\(header.spool)"])
            try writeIdentity(header.spool)
            return header.spool
        }
        let id = SpoolID.random()
        try writeIdentity(id)
        return id
    }

    /// Cuts off what was not written to the end, and makes the rest durable.
    private func recoverNewest(
        _ position: UInt64?, id: SpoolID, logger: Logger
    ) throws(SpoolError) -> (OpenFile, byteCount: Int, end: UInt64) {
        guard let position else { return try begin(SegmentHeader(spool: id, firstPosition: 0)) }
        let file = try openSegment(position, flags: O_RDWR)
        let bytes = try file.read(upTo: try file.size(), at: 0)
        // Making it was interrupted.
        if bytes.count < SegmentHeader.size { return try begin(SegmentHeader(spool: id, firstPosition: position)) }
        let metadata = Segment(firstPosition: position, byteCount: bytes.count).metadata
        let scan = bytes.withUnsafeBytes {
            SegmentScan($0, seed: id.checksumSeed, firstPosition: position, end: nil)
        }
        for hole in scan.holes {
            logger.error(
                "records in the spool's newest segment are damaged",
                metadata: metadata.merging(["lost": "up to \(hole.positions.count)"]) { $1 })
        }
        if scan.tornBytes > 0 {
            logger.warning(
                "the end of the spool was not written completely and is cut off",
                metadata: metadata.merging(["bytes": "\(scan.tornBytes)"]) { $1 })
            try file.truncate(to: bytes.count - scan.tornBytes)
        }
        try file.synchronize()
        try synchronize()
        return (file, bytes.count - scan.tornBytes, scan.end)
    }

    private func begin(_ header: SegmentHeader) throws(SpoolError) -> (OpenFile, byteCount: Int, end: UInt64) {
        let file = try createSegment(header)
        try file.synchronize()
        try synchronize()
        return (file, SegmentHeader.size, header.firstPosition)
    }
}

extension OpenFile {
    /// Makes it a segment without records.
    func reset(to header: SegmentHeader) throws(SpoolError) {
        try truncate(to: SegmentHeader.size)
        try write(header.bytes, at: 0)
        try synchronize()
    }
}
