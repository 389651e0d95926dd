import Logging

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

extension Spool {
    /// Reads durable records from this position on: at least one if there is one, and otherwise at most `maximumBytes` of them.
    /// It can be fewer, as a reading ends where a segment does. Reading on where the last reading ended costs least.
    ///
    /// Goes on after a failure of the spool: what was durable is. Throws `.closed`, or `.failed` when the disk cannot be read.
    public func read(from position: UInt64, maximumBytes: Int) throws(SpoolError) -> SpoolReading {
        try reader.withLock { cursor throws(SpoolError) in
            while true {
                if let reading = try readOnce(from: position, maximumBytes: maximumBytes, cursor: &cursor) { return reading }
            }
        }
    }

    /// - Returns: nil when the segment has just been released.
    private func readOnce(
        from position: UInt64, maximumBytes: Int, cursor: inout ReadCursor
    ) throws(SpoolError) -> SpoolReading? {
        let place = try state.withLock { state throws(SpoolError) -> ReadableSegment? in
            if state.failure == .closed { throw .closed }
            let index = state.index(after: position)
            guard position < state.durableEnd, index > 0 else { return nil }
            let segment = state.segments[index - 1]
            let end = state.end(of: segment)
            return ReadableSegment(
                firstPosition: segment.firstPosition, byteCount: segment.byteCount, end: end,
                readableEnd: min(end, state.durableEnd), isNewest: index == state.segments.count)
        }
        guard let place else {
            let start = start
            return position < start ? SpoolReading(lost: position..<start) : SpoolReading(nothingAt: position)
        }
        let reading: SpoolReading
        do {
            reading = try cursor.read(from: position, in: place, maximumBytes: maximumBytes, folder: folder, seed: checksumSeed)
        } catch .failed(ENOENT) {
            if start > position { return nil }
            reading = SpoolReading(lost: position..<place.readableEnd)
        }
        if let lost = reading.lost {
            logger.error(
                "records of the spool are damaged or missing",
                metadata: [
                    "segment": "\(SpoolFolder.segmentName(place.firstPosition))", "first": "\(lost.lowerBound)",
                    "count": "\(lost.count)",
                ])
        }
        return reading
    }
}

/// A segment as it was when a reading began.
struct ReadableSegment {
    let firstPosition: UInt64
    let byteCount: Int
    /// The position after its last record.
    let end: UInt64
    /// The position after its last durable record.
    let readableEnd: UInt64
    let isNewest: Bool
}

/// Where the last reading ended, so that the next one need not look for it.
struct ReadCursor: Sendable {
    private struct Place {
        let file: OpenFile
        let segment: UInt64
        var offset = SegmentHeader.size
        var position: UInt64
        /// Found when the first one was come upon.
        var holes: [SegmentScan.Hole] = []
        /// Whether the record at `position` begins at `offset`.
        var isKnown = true
    }

    private enum Step {
        case reading(SpoolReading)
        /// Go on, with so many bytes at once.
        case again(Int)
    }

    private var place: Place?

    mutating func read(
        from position: UInt64, in segment: ReadableSegment, maximumBytes: Int, folder: SpoolFolder, seed: UInt32
    ) throws(SpoolError) -> SpoolReading {
        var current: Place
        if let place, place.segment == segment.firstPosition, place.position <= position {
            current = place
        } else {
            current = Place(
                file: try folder.openSegment(segment.firstPosition), segment: segment.firstPosition,
                position: segment.firstPosition)
        }
        place = nil
        var byteCount = max(maximumBytes, RecordFrame.headerSize)
        while true {
            switch try Self.step(&current, to: position, in: segment, byteCount: byteCount, seed: seed) {
            case .again(let count):
                byteCount = count
            case .reading(let reading):
                // A finished segment is not kept open: it is about to be deleted.
                if current.isKnown, segment.isNewest || current.position < segment.end { place = current }
                return reading
            }
        }
    }

    private static func step(
        _ place: inout Place, to position: UInt64, in segment: ReadableSegment, byteCount: Int, seed: UInt32
    ) throws(SpoolError) -> Step {
        let available = max(0, segment.byteCount - place.offset)
        let bytes = try place.file.read(upTo: min(byteCount, available), at: place.offset)
        var payloads: [Range<Int>] = []
        var consumed = 0
        // The size of a frame that is there in whole, but not in these bytes.
        var longerFrame: Int?
        bytes.withUnsafeBytes { bytes in
            while place.position < segment.readableEnd {
                switch RecordFrame.find(in: bytes, at: consumed, seed: seed) {
                case .intact(let size):
                    if place.position >= position { payloads.append(consumed + RecordFrame.headerSize..<consumed + size) }
                    consumed += size
                    place.position += 1
                    continue
                case .incomplete(let size):
                    if consumed + size <= available, bytes.count == min(byteCount, available) { longerFrame = size }
                case .damaged:
                    break
                }
                return
            }
        }
        place.offset += consumed
        if !payloads.isEmpty {
            let first = place.position - UInt64(payloads.count)
            let records = payloads.enumerated().map { SpoolRecord(position: first + UInt64($0), payload: bytes[$1]) }
            return .reading(SpoolReading(records: records))
        }
        if let longerFrame { return .again(max(longerFrame, byteCount)) }
        let lost = try skipHole(&place, in: segment, seed: seed)
        return lost.upperBound > position
            ? .reading(SpoolReading(lost: max(lost.lowerBound, position)..<lost.upperBound)) : .again(byteCount)
    }

    /// Goes to the next intact record.
    ///
    /// - Returns: the positions between.
    private static func skipHole(
        _ place: inout Place, in segment: ReadableSegment, seed: UInt32
    ) throws(SpoolError) -> Range<UInt64> {
        let (first, offset) = (place.position, place.offset)
        func isHere(_ hole: SegmentScan.Hole) -> Bool { hole.offset == offset && hole.positions.lowerBound == first }
        if !place.holes.contains(where: isHere) {
            let bytes = try place.file.read(upTo: segment.byteCount, at: 0)
            place.holes = bytes.withUnsafeBytes {
                SegmentScan($0, seed: seed, firstPosition: segment.firstPosition, end: segment.end).holes
            }
        }
        let hole = place.holes.first(where: isHere)
        if let hole, let nextOffset = hole.nextOffset, hole.positions.upperBound <= segment.readableEnd {
            place.offset = nextOffset
            place.position = hole.positions.upperBound
        } else {
            place.position = segment.readableEnd
            place.isKnown = false
        }
        return first..<place.position
    }
}
