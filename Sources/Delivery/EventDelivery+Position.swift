import Domain
import Events
import Foundation
import Postgres
import Store

extension EventDelivery {
    var spoolID: UUIDBits { UUIDBits(high: spool.spool.id.high, low: spool.spool.id.low) }

    /// Asks PostgreSQL how far it has taken the spool in, and what became of that. Returns where to go on.
    func takeUp() async throws -> UInt64 {
        let believed = spool.position.withLock { $0 }
        let (start, counts) = try await client.withTransaction { transaction in
            let row = try await transaction.execute(
                DeliveryStatements.takeUp(spoolID, Self.place(of: spool.folder), Int64(believed.known))).first
            let position = UInt64(clamping: try row?.decode(0) ?? 0 as Int64)
            let counts = try await Self.counts(in: transaction.execute(DeliveryStatements.ledger(spoolID)))
            let start = self.start(position, believed)
            if start != position {
                _ = try await transaction.execute(DeliveryStatements.setPosition(spoolID, Int64(start)))
            }
            return (start, counts)
        }
        if start != believed.known || !believed.isConfirmed {
            let range = min(start, believed.known)..<max(start, believed.known)
            let census = try SpoolCensus(of: spool.spool, range)
            spool.ledger.correct(counts, census.counts, sign: start > believed.known ? -1 : 1)
        }
        spool.position.withLock { $0 = StoredPosition(known: start, highest: start, isConfirmed: true) }
        progress.withLock { $0.ledger = nil }
        spool.release(before: start, counts: spool.ledger.settled)
        return start
    }

    /// Where to go on when PostgreSQL's position is not what we believe.
    private func start(_ position: UInt64, _ believed: StoredPosition) -> UInt64 {
        guard position <= believed.highest else {
            // The folder is a copy, or an older one that was put back. What was written to it since has positions that PostgreSQL
            // counts as stored. Storing an event again does nothing, so we store all that we do not know to be stored.
            logger.error(
                "PostgreSQL has taken in more from this spool than was in it: its folder was copied or restored",
                metadata: ["folder": "\(spool.folder)", "position": "\(position)", "expected": "\(believed.highest)"])
            spool.deadLetters.forgetPositions()
            return believed.known
        }
        let oldest = spool.spool.start
        if position < oldest {
            logger.error(
                "PostgreSQL has lost events that it had stored, and the spool has not got all of them any more",
                metadata: ["folder": "\(spool.folder)", "events": "\(oldest - position)"])
        }
        return max(position, oldest)
    }

    /// Nil if PostgreSQL has no ledger of this spool.
    private static func counts(in rows: QueryResult) throws -> PerInput<LedgerCounts>? {
        guard rows.count > 0 else { return nil }
        var counts = PerInput(repeating: LedgerCounts())
        for row in rows {
            guard let input = Input?(ledgerName: try row.decode(0)) else { continue }
            counts[input] = LedgerCounts(stored: try row.decode(1), duplicates: try row.decode(2), deadLettered: try row.decode(3))
        }
        return counts
    }

    private static func place(of folder: String) -> String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } + ":" + folder
    }
}

/// PostgreSQL has another position for the spool than we believe.
struct PositionMoved: Error, CustomStringConvertible {
    var description: String { "the spool's position in PostgreSQL has changed" }
}
