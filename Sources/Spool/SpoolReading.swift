public struct SpoolRecord: Sendable {
    /// How many records of the spool were before this one, from its first day on.
    public let position: UInt64
    /// All payloads of a reading are slices of one array, which lives as long as any of them.
    public let payload: ArraySlice<UInt8>
}

/// What lies at a position of a spool: records, or a hole, or nothing yet.
public struct SpoolReading: Sendable {
    /// Consecutive ones, beginning with the position that was asked for.
    public let records: [SpoolRecord]
    /// The positions that cannot be read any more, beginning with the one asked for: damaged, missing, or released before.
    /// There are no records then.
    public let lost: Range<UInt64>?
    /// Where to go on reading. The position that was asked for when nothing durable is there yet.
    public let next: UInt64

    init(records: [SpoolRecord]) {
        self.records = records
        lost = nil
        next = records[records.count - 1].position + 1
    }

    init(lost: Range<UInt64>) {
        records = []
        self.lost = lost
        next = lost.upperBound
    }

    init(nothingAt position: UInt64) {
        records = []
        lost = nil
        next = position
    }
}
