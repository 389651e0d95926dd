import Postgres

/// The rows that one snapshot does not see and a later one does: what one transaction counts.
struct Portion {
    let seen: TransactionSnapshot
    let until: TransactionSnapshot
    /// Whether there is more after it.
    let isPart: Bool

    /// A leader that dies loses a portion. With so few transactions, a portion of them is counted in seconds.
    private static let minimumSpan: Int64 = 1_000_000
    /// Portions after a long absence, and in a database that has lived for long, are larger, or there would be too many of them.
    private static let maximumNumber: Int64 = 16

    init(after seen: TransactionSnapshot, in present: TransactionSnapshot) {
        self.seen = seen
        let span = max(Self.minimumSpan, (present.next - seen.next) / Self.maximumNumber)
        until = present.limited(to: seen.next + span)
        isPart = until.next < present.next
    }

    /// SQL for the portion's rows of a table, whose parameters 1 to 4 are `parameters`.
    ///
    /// Both halves are ranges of an index on `stored_by`: transactions that began after `seen`, and those that have ended since.
    static func rows(_ columns: String, of table: String) -> String {
        """
        SELECT \(columns)
            FROM \(table)
            WHERE stored_by >= $1 AND stored_by < $2 AND stored_by <> ALL ($3)
            UNION ALL
            SELECT \(columns)
            FROM \(table)
            WHERE stored_by = ANY ($4)
        """
    }

    var first: Int64 { seen.next }
    var end: Int64 { until.next }
    /// Still running, so not to be counted yet.
    var running: PostgresArray<Int64> { PostgresArray(until.running.filter { $0 >= seen.next }) }
    /// Were running when `seen` was taken, and have ended.
    var ended: PostgresArray<Int64> {
        let running = Set(until.running)
        return PostgresArray(seen.running.filter { !running.contains($0) })
    }
}

/// Where buckets of time begin: a Monday, before everything. `date_bin` then gives UTC's minutes, hours, days and weeks.
enum Calendar {
    static let origin = "'0001-01-01 00:00:00+00'"
}
