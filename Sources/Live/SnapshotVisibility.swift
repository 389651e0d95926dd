import Domain
import Postgres

/// Which transactions a snapshot sees: what `pg_current_snapshot()` says, and `pg_visible_in_snapshot` asks.
struct SnapshotVisibility: Equatable, Sendable {
    /// All transactions below are over.
    let lowest: UInt64
    /// None from here on is seen.
    let next: UInt64
    /// Those in between that were running.
    let running: Set<UInt64>

    /// Reads PostgreSQL's text form, `xmin:xmax:xip,…`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let lowest = UInt64(parts[0]), let next = UInt64(parts[1]) else { return nil }
        let list = parts[2].split(separator: ",").map { UInt64($0) }
        guard list.allSatisfy({ $0 != nil }) else { return nil }
        self.lowest = lowest
        self.next = next
        running = Set(list.compactMap(\.self))
    }

    /// Whether a transaction that has committed is seen.
    ///
    /// - Parameter transactionID: without its epoch, as the feed has it; the epoch is that of the nearest such number, since
    ///   no two transactions 2³¹ apart are alive at once.
    func sees(_ transactionID: UInt32) -> Bool {
        #if DEBUG
        if Sabotage.visibility.isOn { return true }
        #endif
        let distance = Int32(bitPattern: transactionID &- UInt32(truncatingIfNeeded: next))
        let full = UInt64(bitPattern: Int64(bitPattern: next) + Int64(distance))
        return full < lowest || (full < next && !running.contains(full))
    }
}

/// The moment that a tick answers for.
struct Moment: Sendable {
    let visibility: SnapshotVisibility
    /// Where the log ended just after the snapshot was taken: every commit that it sees stands before this.
    let position: LogPosition

    /// The first statement of a snapshot transaction; the position is read after the snapshot is taken.
    ///
    /// A position at a page's beginning is given as the end of that page's header, which no record ever ends at; the feed
    /// counts records' ends. So the header is taken off again: 40 bytes on a segment's first page, else 24 (xlog_internal.h).
    static func current(in transaction: Transaction) async throws -> Moment {
        guard let row = try await transaction.execute(statement()).first,
            let visibility = SnapshotVisibility(try row.decode(0, as: String.self)),
            let position = LogPosition(try row.decode(1, as: String.self))
        else { throw MalformedMoment() }
        let segment = UInt64(try row.decode(2, as: Int64.self))
        let block = UInt64(try row.decode(3, as: Int64.self))
        let offset = position.rawValue % block
        let isFirstPage = position.rawValue % segment < block
        let isAfterHeader = offset == (isFirstPage ? 40 : 24)
        return Moment(visibility: visibility, position: LogPosition(position.rawValue - (isAfterHeader ? offset : 0)))
    }

    struct MalformedMoment: Error {}

    private static let statement = Statement(
        "tick.moment",
        """
        SELECT pg_current_snapshot()::text,
               pg_current_wal_insert_lsn()::text,
               pg_size_bytes(current_setting('wal_segment_size')),
               current_setting('wal_block_size')::bigint
        """)
}
