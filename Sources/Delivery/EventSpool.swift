import Dispatch
import Events
import Logging
import Spool
import Synchronization

/// Up to where a spool is stored in PostgreSQL.
struct StoredPosition {
    /// Up to here at least.
    var known: UInt64
    /// Up to here at most: to the end of a transaction whose COMMIT was perhaps sent, and not answered.
    var highest: UInt64
    /// PostgreSQL has been asked.
    var isConfirmed = false
}

/// A spool of events in its folder, with what belongs to it: the ledger, the dead letters, and what is known of recent events.
///
/// A process has one, which its `Intake` fills and its `EventDelivery` empties.
public final class EventSpool: Sendable {
    public let folder: String
    public let spool: Spool
    public let ledger: Ledger

    let deadLetters: DeadLetterFile
    /// Held while events are compared with earlier ones and appended.
    let keys: Mutex<RecentKeys>
    /// What stood in the spool when it was opened and had not been stored yet, as far as was known then.
    let backlog: Range<UInt64>
    let position: Mutex<StoredPosition>

    private let waitingTimes: Mutex<WaitingTimes>
    /// What the file should say, up to which position records have left the disk, and since when.
    private let checkpoint: Mutex<(current: Checkpoint, released: UInt64, at: ContinuousClock.Instant)>
    private let logger: Logger

    /// Opens the folder's spool, or makes it. Reads all that has not been stored yet: a gigabyte takes some seconds.
    ///
    /// - Parameters:
    ///   - folder: made if it is not there.
    ///   - budget: how much it may take on the disk, in bytes.
    /// - Throws: `inUse` if another process has it.
    public init(folder: String, budget: Int = 1 << 30, logger: Logger) throws(SpoolError) {
        self.folder = folder
        self.logger = logger
        spool = try Spool(Spool.Configuration(folder: folder, budget: budget), logger: logger)
        var checkpoint = Checkpoint(folder: folder) ?? Checkpoint(position: spool.start)
        if checkpoint.position > spool.end {
            // Segments were removed by hand. Positions are never used twice.
            try spool.advance(to: checkpoint.position)
        }
        checkpoint.position = max(checkpoint.position, spool.start)
        backlog = checkpoint.position..<spool.end
        position = Mutex(StoredPosition(known: checkpoint.position, highest: spool.end))
        var keys = RecentKeys()
        let census = try SpoolCensus(of: spool, backlog) { _ = keys.insert($0) }
        var counts = checkpoint.counts
        for input in PerInput<Int>.inputs { counts[input].spooled = census.counts[input] }
        ledger = Ledger(counts)
        deadLetters = DeadLetterFile(folder: folder, logger: logger)
        self.keys = Mutex(keys)
        self.checkpoint = Mutex((checkpoint, spool.start, .now))
        var waitingTimes = WaitingTimes()
        if !backlog.isEmpty { waitingTimes.noteArrival(end: backlog.upperBound, at: .now) }
        self.waitingTimes = Mutex(waitingTimes)
    }

    /// Opens the folder's spool on a thread of its own, since much may have to be read. Tries again while another process has it:
    /// the daemon has that of a process that ended, for a few seconds at a time.
    public static func open(
        folder: String, budget: Int = 1 << 30, patience: Duration = .seconds(15), logger: Logger
    ) async throws -> EventSpool {
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                return try await withCheckedThrowingContinuation { continuation in
                    DispatchQueue.global().async {
                        continuation.resume(
                            with: Result { try EventSpool(folder: folder, budget: budget, logger: logger) })
                    }
                }
            } catch SpoolError.inUse where ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Writes the checkpoint, and lets other processes have the folder.
    public func close() {
        checkpoint.withLock { _ = write($0.current) }
        spool.close()
    }

    // MARK: Arrival

    func noteArrival(end: UInt64) {
        waitingTimes.withLock { $0.noteArrival(end: end, at: .now) }
    }

    /// How long the event at this position has been waiting, to about a second; zero if it has not come yet.
    func waitingTime(of position: UInt64) -> Duration {
        waitingTimes.withLock { $0.arrival(of: position) }.map { ContinuousClock.now - $0 } ?? .zero
    }

    // MARK: Departure

    /// All before the position is stored: it may leave the disk.
    func release(before position: UInt64, counts: PerInput<LedgerCounts>) {
        var new = Checkpoint(position: position)
        new.counts = counts
        checkpoint.withLock { checkpoint in
            checkpoint.current = new
            if isDue(checkpoint.at) { release(&checkpoint) }
        }
    }

    /// To be called when there is nothing to do: what was stored last may leave the disk too.
    func releaseRest() {
        checkpoint.withLock { checkpoint in
            if isDue(checkpoint.at) { release(&checkpoint) }
        }
    }

    /// To be called when there is no room: what is stored leaves the disk now.
    func makeRoom() {
        checkpoint.withLock { release(&$0) }
    }

    private func isDue(_ last: ContinuousClock.Instant) -> Bool {
        ContinuousClock.now - last >= .seconds(1) || spool.bytesOnDisk > spool.budget / 2
    }

    private func release(_ checkpoint: inout (current: Checkpoint, released: UInt64, at: ContinuousClock.Instant)) {
        guard checkpoint.current.position > checkpoint.released else { return }
        // The file first, so that a ledger without PostgreSQL misses nothing. But on a full disk there is no room for it before
        // something has left.
        let isWritten = write(checkpoint.current)
        spool.release(before: checkpoint.current.position)
        if !isWritten, !write(checkpoint.current) {
            logger.warning("cannot write the spool's checkpoint; PostgreSQL knows it too", metadata: ["folder": "\(folder)"])
        }
        checkpoint.released = checkpoint.current.position
        checkpoint.at = .now
    }

    private func write(_ checkpoint: Checkpoint) -> Bool {
        (try? checkpoint.write(folder: folder)) != nil
    }
}
