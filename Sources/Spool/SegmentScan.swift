/// All intact records of a segment, found also behind damaged places.
struct SegmentScan {
    /// Intact records one after another.
    struct Run {
        let offset: Int
        fileprivate(set) var endOffset: Int
        fileprivate(set) var count = 0
        fileprivate(set) var firstPosition: UInt64 = 0
    }

    /// A place without intact records.
    struct Hole {
        /// Where the record before it ends.
        let offset: Int
        /// Where the next intact record begins; nil when none follows in this segment.
        let nextOffset: Int?
        let positions: Range<UInt64>
    }

    /// In order. The first begins after the header and can be empty.
    private(set) var runs: [Run]
    private(set) var holes: [Hole] = []
    /// The position after the last record.
    private(set) var end: UInt64
    /// Bytes after the last intact record of the spool's newest segment, which whoever wrote them did not finish.
    private(set) var tornBytes = 0

    /// - Parameters:
    ///   - bytes: the whole segment.
    ///   - end: the position that the next segment begins with; nil for the newest segment, whose end is to be found.
    init(_ bytes: UnsafeRawBufferPointer, seed: UInt32, firstPosition: UInt64, end: UInt64?) {
        let start = min(SegmentHeader.size, bytes.count)
        runs = [Run(offset: start, endOffset: start)]
        // The most records that can have been in the hole after each run but the last.
        var mostLost: [UInt64] = []
        var offset = start
        while offset < bytes.count {
            if case .intact(let size) = RecordFrame.find(in: bytes, at: offset, seed: seed) {
                offset += size
                runs[runs.count - 1].endOffset = offset
                runs[runs.count - 1].count += 1
                continue
            }
            guard let next = Self.offsetOfIntactRecord(in: bytes, after: offset, seed: seed) else { break }
            let wasOneRecord = next - offset == RecordFrame.headerSize + RecordFrame.payloadLength(in: bytes, at: offset)
            mostLost.append(wasOneRecord ? 1 : UInt64((next - offset) / RecordFrame.headerSize))
            runs.append(Run(offset: next, endOffset: next))
            offset = next
        }
        self.end = firstPosition
        number(from: firstPosition, to: end, mostLost: mostLost)
        if end == nil { tornBytes = bytes.count - runs[runs.count - 1].endOffset }
    }

    /// Gives the runs their positions. How many records a hole had is known when it is the only one of a segment with a
    /// successor. Otherwise the most that it can have had is assumed: then a record can get a higher position than it had, and
    /// is perhaps delivered twice. With a lower one it would be taken for delivered.
    private mutating func number(from firstPosition: UInt64, to knownEnd: UInt64?, mostLost: [UInt64]) {
        let intact = runs.reduce(0) { $0 + UInt64($1.count) }
        var stillLost = knownEnd.map { $0 - firstPosition > intact ? $0 - firstPosition - intact : 0 }
        for index in runs.indices {
            runs[index].firstPosition = end
            end += UInt64(runs[index].count)
            guard index < mostLost.count else { break }
            var count = mostLost[index]
            if let left = stillLost {
                let laterHoles = UInt64(mostLost.count - index - 1)
                count = min(count, left > laterHoles ? left - laterHoles : 0)
                stillLost = left - count
            }
            holes.append(
                Hole(offset: runs[index].endOffset, nextOffset: runs[index + 1].offset, positions: end..<end + count))
            end += count
        }
        if let stillLost, stillLost > 0 {
            holes.append(Hole(offset: runs[runs.count - 1].endOffset, nextOffset: nil, positions: end..<end + stillLost))
            end += stillLost
        }
    }

    private static func offsetOfIntactRecord(in bytes: UnsafeRawBufferPointer, after damaged: Int, seed: UInt32) -> Int? {
        func isIntact(at offset: Int) -> Bool {
            if case .intact = RecordFrame.find(in: bytes, at: offset, seed: seed) { true } else { false }
        }
        guard damaged + RecordFrame.headerSize <= bytes.count else { return nil }
        // Most damages leave the length as it was.
        let next = damaged + RecordFrame.headerSize + RecordFrame.payloadLength(in: bytes, at: damaged)
        if next < bytes.count, isIntact(at: next) { return next }
        var offset = damaged + 1
        while offset + RecordFrame.headerSize <= bytes.count {
            if isIntact(at: offset) { return offset }
            offset += 1
        }
        return nil
    }
}
