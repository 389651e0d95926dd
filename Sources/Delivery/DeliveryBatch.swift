import Domain
import Events
import Spool

/// Consecutive records of a spool, as they go to PostgreSQL: in one transaction, together with the position behind them.
struct DeliveryBatch: Sendable {
    struct Event: Sendable {
        let position: UInt64
        let input: Input
        let key: UUIDBits?
        /// See `EventRow`.
        let row: ArraySlice<UInt8>
        /// The whole record.
        let entry: ArraySlice<UInt8>
    }

    /// What is settled without PostgreSQL's opinion.
    private enum Remainder: Sendable {
        case duplicates(Int, Input, at: UInt64)
        /// Stands for so many reports.
        case deadLetter(DeadLetter, Input?, count: Int)

        var position: UInt64 {
            switch self {
            case .duplicates(_, _, let position): position
            case .deadLetter(let letter, _, _): letter.position
            }
        }
    }

    private(set) var positions: Range<UInt64>
    private(set) var events: [Event] = []
    private var remainders: [Remainder] = []

    init(_ records: ArraySlice<SpoolRecord>, startingAt start: UInt64) {
        positions = start..<(records.last.map { $0.position + 1 } ?? start)
        events.reserveCapacity(records.count)
        for record in records { add(record) }
    }

    /// Records that cannot be read any more.
    init(lost: Range<UInt64>) {
        positions = lost
        let letter = DeadLetter(
            position: lost.lowerBound, damage: "\(lost.count) records were lost with a damaged part of the spool")
        remainders = [.deadLetter(letter, nil, count: lost.count)]
    }

    private mutating func add(_ record: SpoolRecord) {
        do throws(SpoolEntryError) {
            switch try SpoolEntry(decoding: record.payload) {
            case .event(let input, let key, let row):
                events.append(Event(position: record.position, input: input, key: key, row: row, entry: record.payload))
            case .rejected(let input, let moment, let reason, let raw):
                let letter = DeadLetter(position: record.position, at: moment, input: input, reason: reason, raw: raw)
                remainders.append(.deadLetter(letter, input, count: 1))
            case .duplicates(let input, let count):
                remainders.append(.duplicates(Int(count), input, at: record.position))
            }
        } catch {
            let letter = DeadLetter(position: record.position, damage: "not a record of an event: \(error)", raw: record.payload)
            remainders.append(.deadLetter(letter, nil, count: 1))
        }
    }

    /// How many records it has.
    var count: Int { positions.count }

    var deadLetters: [DeadLetter] {
        remainders.compactMap { if case .deadLetter(let letter, _, _) = $0 { letter } else { nil } }
    }

    /// What becomes of the batch if PostgreSQL stores so many of its events, and knows the others already.
    func outcome(stored: PerInput<Int>) -> PerInput<LedgerCounts> {
        var outcome = PerInput(repeating: LedgerCounts())
        for event in events { outcome[event.input].duplicates += 1 }
        for input in Input.allCases {
            outcome[input].stored = stored[input]
            outcome[input].duplicates -= stored[input]
        }
        for remainder in remainders {
            switch remainder {
            case .duplicates(let count, let input, _): outcome[input].duplicates += count
            case .deadLetter(_, let input, let count): outcome[input].deadLettered += count
            }
        }
        return outcome
    }

    /// How many events of each input it has.
    var eventCounts: PerInput<Int> {
        var counts = PerInput(repeating: 0)
        for event in events { counts[event.input] += 1 }
        return counts
    }

    // MARK: Looking for what PostgreSQL refuses

    /// Two parts with half of the events each. There must be at least two.
    var halves: [DeliveryBatch] {
        let middle = events.count / 2
        let border = events[middle].position
        var first = self
        var second = self
        first.positions = positions.lowerBound..<border
        second.positions = border..<positions.upperBound
        first.events = Array(events[..<middle])
        second.events = Array(events[middle...])
        first.remainders = remainders.filter { $0.position < border }
        second.remainders = remainders.filter { $0.position >= border }
        return [first, second]
    }

    /// The same with its only event as a dead letter.
    func refused(for reason: String) -> DeliveryBatch {
        var batch = self
        batch.events = []
        for event in events {
            let letter = DeadLetter(
                position: event.position, input: event.input, reason: reason, row: event.row, entry: event.entry)
            batch.remainders.append(.deadLetter(letter, event.input, count: 1))
        }
        batch.remainders.sort { $0.position < $1.position }
        return batch
    }
}
