import Domain
import Events
import Spool

/// Counts what stands in a spool.
struct SpoolCensus {
    /// Reports, by where they came from.
    private(set) var counts = PerInput(repeating: 0)

    /// Reads the records of a range of positions.
    ///
    /// - Parameter found: called with each event's key.
    init(of spool: Spool, _ range: Range<UInt64>, found: (UUIDBits) -> Void = { _ in }) throws(SpoolError) {
        var position = range.lowerBound
        while position < range.upperBound {
            let reading = try spool.read(from: position, maximumBytes: 4 << 20)
            for record in reading.records where record.position < range.upperBound {
                switch try? SpoolEntry(decoding: record.payload) {
                case .event(let input, let key, _):
                    counts[input] += 1
                    if let key { found(key) }
                case .rejected(let input, _, _, _): counts[input] += 1
                case .duplicates(let input, let count): counts[input] += Int(count)
                case nil: counts[nil] += 1
                }
            }
            if let lost = reading.lost { counts[nil] += lost.clamped(to: range).count }
            guard reading.next > position else { return }
            position = reading.next
        }
    }
}
