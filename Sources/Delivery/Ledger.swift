import Events
import Synchronization

/// What became of the events of one input, or of all.
public struct LedgerCounts: Equatable, Sendable {
    /// In PostgreSQL.
    public var stored = 0
    /// Known already: found when they came in, or by PostgreSQL.
    public var duplicates = 0
    /// In the file of dead letters, or lost with a damaged part of the spool.
    public var deadLettered = 0
    /// Still in the spool. Duplicates that were found when they came in are here until PostgreSQL has been told of them.
    public var spooled = 0

    public var received: Int { stored + duplicates + deadLettered + spooled }

    static func + (left: Self, right: Self) -> Self {
        Self(
            stored: left.stored + right.stored, duplicates: left.duplicates + right.duplicates,
            deadLettered: left.deadLettered + right.deadLettered, spooled: left.spooled + right.spooled)
    }
}

/// The ledger at one moment.
public struct LedgerSnapshot: Equatable, Sendable {
    public struct Line: Equatable, Sendable {
        /// The input's name; `unknown` for records that could not be read.
        public let input: String
        public let counts: LedgerCounts
    }

    /// Of the inputs by which anything has come, in a fixed order.
    public let lines: [Line]

    public var total: LedgerCounts { lines.reduce(LedgerCounts()) { $0 + $1.counts } }

    public subscript(input: Input) -> LedgerCounts { lines.first { $0.input == input.name }?.counts ?? LedgerCounts() }
}

/// Keeps account of one spool: received = stored + duplicates + dead-lettered + spooled, for each input and at every moment.
///
/// What is no longer in the spool follows from the position up to which PostgreSQL has taken it in; PostgreSQL holds those counts
/// together with that position. What is still in the spool is counted when the spool is opened, and from then on as it comes.
public final class Ledger: Sendable {
    private let counts: Mutex<PerInput<LedgerCounts>>

    init(_ counts: PerInput<LedgerCounts>) {
        self.counts = Mutex(counts)
    }

    public func snapshot() -> LedgerSnapshot {
        Self.snapshot(counts.withLock { $0 })
    }

    /// What it will say when `outcome` has come about.
    func snapshot(after outcome: PerInput<LedgerCounts>) -> LedgerSnapshot {
        var counts = counts.withLock { $0 }
        Self.settle(outcome, in: &counts)
        return Self.snapshot(counts)
    }

    private static func snapshot(_ counts: PerInput<LedgerCounts>) -> LedgerSnapshot {
        LedgerSnapshot(
            lines: PerInput<LedgerCounts>.inputs.compactMap { input in
                let counts = counts[input]
                return counts.received == 0 ? nil : LedgerSnapshot.Line(input: input.ledgerName, counts: counts)
            })
    }

    /// So many are about to go into the spool; negative: they did not after all.
    func receive(_ received: PerInput<Int>, sign: Int = 1) {
        counts.withLock { counts in
            for input in Input.allCases { counts[input].spooled += sign * received[input] }
        }
    }

    /// They have left the spool in the ways that `outcome` says.
    func settle(_ outcome: PerInput<LedgerCounts>) {
        counts.withLock { Self.settle(outcome, in: &$0) }
    }

    private static func settle(_ outcome: PerInput<LedgerCounts>, in counts: inout PerInput<LedgerCounts>) {
        for input in PerInput<LedgerCounts>.inputs {
            let outcome = outcome[input]
            let left = outcome.received
            guard left > 0 else { continue }
            var sum = counts[input] + outcome
            // A damaged record was counted where it came from, when it came, and leaves as one of nobody's.
            sum.spooled = max(0, counts[input].spooled - left)
            counts[input] = sum
        }
    }

    /// What has left the spool.
    var settled: PerInput<LedgerCounts> {
        var counts = counts.withLock { $0 }
        for input in PerInput<LedgerCounts>.inputs { counts[input].spooled = 0 }
        return counts
    }

    /// PostgreSQL knows better what has left the spool, and where in the spool it goes on.
    ///
    /// - Parameters:
    ///   - known: what has left the spool; nil if PostgreSQL has nothing to say.
    ///   - records: so many more are spooled than was believed; with a `sign` of −1, fewer.
    func correct(_ known: PerInput<LedgerCounts>?, _ records: PerInput<Int>, sign: Int) {
        counts.withLock { counts in
            for input in PerInput<LedgerCounts>.inputs {
                let spooled = counts[input].spooled
                if let known { counts[input] = known[input] }
                counts[input].spooled = max(0, spooled + sign * records[input])
            }
        }
    }

    /// The spool is empty. Records that were damaged in it, and so left under no name, no longer count where they came from.
    func noteEmptySpool() {
        counts.withLock { counts in
            for input in PerInput<LedgerCounts>.inputs { counts[input].spooled = 0 }
        }
    }
}
