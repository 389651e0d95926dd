import Domain
import Events
import Metrics
import Spool

/// Takes events in: remembers them on the disk before anybody is told that they were accepted.
///
/// An event that has come before, by its key, is counted and not kept again. PostgreSQL compares once more, with all that there
/// ever were.
public final class Intake: Sendable {
    private let spool: EventSpool
    private let receivedCounters = PerInput { input in
        Counter(label: "attune_ingest_received_total", dimensions: [("input", input.ledgerName)])
    }

    public init(_ spool: EventSpool) {
        self.spool = spool
    }

    /// Takes a batch. When this returns its events are on the disk, and so are those that its duplicates repeat.
    public func accept(_ batch: consuming IntakeBatch) async throws(IntakeError) -> Receipt {
        let (receipt, end) = try append(batch)
        do {
            try await spool.spool.waitUntilDurable(end)
        } catch {
            throw IntakeError(error)
        }
        return receipt
    }

    /// Takes a batch. When this returns its events survive the end of this process, but not yet a power failure.
    @discardableResult
    public func acceptWithoutWaiting(_ batch: consuming IntakeBatch) throws(IntakeError) -> Receipt {
        try append(batch).receipt
    }

    private func append(_ batch: borrowing IntakeBatch) throws(IntakeError) -> (receipt: Receipt, end: UInt64) {
        let batch = copy batch
        // One batch after the other: whoever finds an event known must not be told so before it is written, and it would not be
        // known any more if writing it failed. Positions go up in the order of the batches, so whoever waits for its own records
        // waits for all that it may have been compared with.
        return try spool.keys.withLock { (keys) throws(IntakeError) in
            var draft = Draft(batch, comparedWith: &keys)
            spool.ledger.receive(draft.received)
            do throws(SpoolError) {
                let end = draft.isEmpty ? spool.spool.end : try spool.spool.append(draft.takeRecords())
                spool.noteArrival(end: end)
                for input in Input.allCases where draft.received[input] > 0 {
                    receivedCounters[input].increment(by: draft.received[input])
                }
                return (draft.receipt, end)
            } catch {
                spool.ledger.receive(draft.received, sign: -1)
                for key in draft.newKeys { keys.remove(key) }
                // For the next attempt. Nothing else would come by while there is no room.
                if error == .full || error == .diskFull { spool.makeRoom() }
                throw IntakeError(error)
            }
        }
    }
}

/// What a batch becomes when it is known which of its events are new.
private struct Draft {
    private var records: RecordBatch
    private(set) var receipt = Receipt(accepted: 0, duplicates: 0)
    private(set) var received = PerInput(repeating: 0)
    private(set) var newKeys: [UUIDBits] = []

    init(_ batch: IntakeBatch, comparedWith keys: inout RecentKeys) {
        records = RecordBatch(reservingCapacity: batch.byteCount + 16 * batch.count)
        var duplicates = PerInput<UInt32>(repeating: 0)
        var start = 0
        for item in batch.items {
            let record = batch.bytes[start..<item.end]
            start = item.end
            received[item.input] += 1
            if let key = item.key {
                guard keys.insert(key) else {
                    duplicates[item.input] += 1
                    receipt.duplicates += 1
                    continue
                }
                newKeys.append(key)
            }
            records.append(record)
            if item.isRejected { receipt.rejected += 1 } else { receipt.accepted += 1 }
        }
        // Into the same batch, so that the ledger adds up whatever happens next.
        for input in Input.allCases where duplicates[input] > 0 {
            records.append { SpoolEntry.appendDuplicates(duplicates[input], input: input, to: &$0) }
        }
    }

    var isEmpty: Bool { records.isEmpty }

    mutating func takeRecords() -> RecordBatch {
        defer { records = RecordBatch() }
        return records
    }
}
