/// A `pg_snapshot`: which transactions are over, seen from one moment.
struct TransactionSnapshot: Equatable, Sendable, CustomStringConvertible {
    /// No transaction from here on is seen.
    let next: Int64
    /// The earlier ones that are not seen either, ascending: they were running.
    let running: [Int64]

    /// Sees nothing.
    static let nothing = TransactionSnapshot(next: 1, running: [])

    init(next: Int64, running: [Int64]) {
        self.next = next
        self.running = running
    }

    /// Reads PostgreSQL's text form, `xmin:xmax:xip,…`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, Int64(parts[0]) != nil, let next = Int64(parts[1]) else { return nil }
        let running = parts[2].split(separator: ",").map { Int64($0) }
        guard !running.contains(nil) else { return nil }
        self.init(next: next, running: running.compactMap(\.self))
    }

    /// PostgreSQL's text form.
    var description: String {
        "\(running.first ?? next):\(next):\(running.map(String.init).joined(separator: ","))"
    }

    /// What this would be, had no transaction from `next` on begun.
    func limited(to next: Int64) -> TransactionSnapshot {
        next >= self.next ? self : TransactionSnapshot(next: next, running: running.filter { $0 < next })
    }
}
