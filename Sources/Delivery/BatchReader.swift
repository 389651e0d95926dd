import Spool

/// Reads a spool batch by batch.
struct BatchReader {
    private let spool: Spool
    private let maximumBytes: Int
    /// The first position that is not in a batch yet.
    private(set) var next: UInt64
    /// Read already, from `next` on.
    private var records: ArraySlice<SpoolRecord> = []

    init(_ spool: Spool, from start: UInt64, maximumBytes: Int) {
        self.spool = spool
        self.maximumBytes = maximumBytes
        next = start
    }

    /// Whether a batch of so many records can be made at once.
    func holds(_ count: Int) -> Bool {
        records.count >= count || spool.durableEnd >= next + UInt64(count)
    }

    /// What is durable, up to so many records. Nil if there is nothing yet.
    mutating func batch(of limit: Int) throws(SpoolError) -> DeliveryBatch? {
        // Too few left of the last reading: reading those again costs less than another small batch.
        if records.count < limit {
            let reading = try spool.read(from: next, maximumBytes: maximumBytes)
            if let lost = reading.lost {
                next = lost.upperBound
                return DeliveryBatch(lost: lost)
            }
            records = reading.records[...]
        }
        guard !records.isEmpty else { return nil }
        let batch = DeliveryBatch(records.prefix(limit), startingAt: next)
        records = records.dropFirst(limit)
        next = batch.positions.upperBound
        return batch
    }
}
