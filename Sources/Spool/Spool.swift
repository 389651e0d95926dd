import Dispatch
import Logging
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Records in files that survive crashes, in the order of their arrival, until they are released: an append-only log of
/// checksummed segments in a folder of its own. It knows nothing of what the records mean. `docs/ingest.md` has the format.
///
/// Any number of tasks may append and wait; one reads at a time.
public final class Spool: Sendable {
    public struct Configuration: Sendable {
        public var folder: String
        /// What all segments together may take, in bytes.
        public var budget: Int
        /// When to begin another segment, in bytes; at most an eighth of the budget counts. A batch never spans two segments: one
        /// that is larger has a segment of its own.
        public var segmentSize: Int

        public init(folder: String, budget: Int = 1 << 30, segmentSize: Int = 16 << 20) {
            self.folder = folder
            self.budget = budget
            self.segmentSize = segmentSize
        }
    }

    /// Made at the first opening of the folder.
    public let id: SpoolID
    /// What all segments together may take, in bytes.
    public let budget: Int
    let segmentSize: Int
    let checksumSeed: UInt32
    let folder: SpoolFolder
    let logger: Logger
    private let lock: FolderLock
    /// Where fdatasync waits for the disk: no task has to lend its thread.
    let queue = DispatchQueue(label: "attune.spool")

    // Whoever needs several of these takes them in this order.
    /// Held while the newest segment is written or replaced.
    let writing = Mutex(())
    /// Held during fdatasync, until its outcome is in `state`: two callers of one fdatasync could otherwise both be told that it
    /// succeeded, when the first one got the only report of a failure.
    let synchronizing = Mutex(())
    let reader = Mutex(ReadCursor())
    /// Held for a moment only.
    let state: Mutex<State>

    /// Opens the folder, or makes it. What an earlier process did not finish writing at the end is cut off; the records before
    /// are durable when this returns.
    ///
    /// Throws `.inUse` while another process, or another object of this one, has the folder.
    public init(_ configuration: Configuration, logger: Logger) throws(SpoolError) {
        try SpoolFolder.create(configuration.folder)
        let folder = try SpoolFolder(path: configuration.folder)
        lock = try FolderLock(folder)
        let recovered = try folder.recover(logger: logger)
        id = recovered.id
        checksumSeed = recovered.id.checksumSeed
        budget = configuration.budget
        segmentSize = min(configuration.segmentSize, configuration.budget / 8)
        self.folder = folder
        self.logger = logger
        state = Mutex(State(recovered))
    }

    deinit {
        close()
    }

    // MARK: Figures

    /// The position of the oldest record that is kept, or `end`.
    public var start: UInt64 { state.withLock { $0.segments[0].firstPosition } }
    /// The position after the newest record.
    public var end: UInt64 { state.withLock { $0.end } }
    /// The records before this position survive a power failure.
    public var durableEnd: UInt64 { state.withLock { $0.durableEnd } }
    /// What all segments take together.
    public var bytesOnDisk: Int { state.withLock { $0.bytesOnDisk } }
    /// What is free on the disk for this process; nil when the system does not say.
    public var availableBytes: Int? { folder.availableBytes }

    // MARK: Writing

    /// Adds all the records, or none when it throws. When it returns they survive the end of the process; `waitUntilDurable`
    /// tells when they survive a power failure.
    ///
    /// Blocks its thread for a write(2), and at the beginning of another segment until that is on the disk. A batch that is
    /// larger than the budget is `.full` for ever.
    ///
    /// - Returns: the position after the last record.
    @discardableResult
    public func append(_ batch: consuming RecordBatch) throws(SpoolError) -> UInt64 {
        let count = UInt64(batch.count)
        guard count > 0 else { return try state.withLock { state throws(SpoolError) in try state.checked().end } }
        batch.seal(seed: checksumSeed)
        let frames = batch.frames
        return try writing.withLock { _ throws(SpoolError) in
            let before = try state.withLock { state throws(SpoolError) in try state.checked() }
            let needsSegment =
                before.end > before.newest.firstPosition && before.newest.byteCount + frames.count > segmentSize
            let needed = frames.count + (needsSegment ? SegmentHeader.size : 0)
            guard before.bytesOnDisk + needed <= budget else { throw .full }
            if needsSegment { try beginSegment(at: before.end) }
            return try write(frames, count: count)
        }
    }

    /// Call with `writing` held.
    private func write(_ frames: [UInt8], count: UInt64) throws(SpoolError) -> UInt64 {
        let (file, offset) = state.withLock { ($0.newestFile, $0.newest.byteCount) }
        do {
            try file.write(frames, at: offset)
        } catch {
            do {
                try file.truncate(to: offset)
            } catch let second {
                fail(second, "cannot remove a half-written batch from the spool")
            }
            throw error
        }
        let (end, mustSynchronize) = state.withLock { state in
            state.newest.byteCount += frames.count
            state.bytesOnDisk += frames.count
            state.end += count
            defer { state.isSynchronizing = true }
            return (state.end, !state.isSynchronizing)
        }
        if mustSynchronize { queue.async { self.synchronizeAll() } }
        return end
    }

    /// Goes on in a new segment. Call with `writing` held.
    ///
    /// All before it is made durable first. So damage in a segment that has a successor is damage to durable records, and only
    /// the newest segment can have an unfinished end.
    func beginSegment(at position: UInt64) throws(SpoolError) {
        try synchronize()
        let file: OpenFile
        do {
            file = try folder.createSegment(SegmentHeader(spool: id, firstPosition: position))
        } catch {
            do {
                // Records may go on into the old segment: the new one must not turn up again after a power failure.
                try folder.removeSegment(position)
                try folder.synchronize()
            } catch let second {
                fail(second, "cannot remove a half-made segment from the spool")
            }
            throw error
        }
        do {
            try file.synchronize()
            try folder.synchronize()
        } catch {
            fail(error, "cannot make a segment of the spool durable")
            throw error
        }
        state.withLock { state in
            state.segments.append(Segment(firstPosition: position, byteCount: SegmentHeader.size))
            state.bytesOnDisk += SegmentHeader.size
            state.newestFile = file
            state.end = position
            state.durableEnd = position
        }
    }

    /// Leaves positions out, so that the next record gets this one. For whoever remembers a position beyond `end`, as after
    /// segments were removed by hand: new records would have positions that count as read.
    public func advance(to position: UInt64) throws(SpoolError) {
        try writing.withLock { _ throws(SpoolError) in
            let before = try state.withLock { state throws(SpoolError) in try state.checked() }
            if position > before.end { try beginSegment(at: position) }
        }
    }

    // MARK: Releasing

    /// Deletes the segments that hold only records before this position, which nobody is going to read again.
    public func release(before position: UInt64) {
        let released = state.withLock { state in
            let position = min(position, state.durableEnd)
            let kept = state.segments.firstIndex { state.end(of: $0) > position } ?? state.segments.count - 1
            let released = Array(state.segments[..<kept])
            state.segments.removeSubrange(..<kept)
            state.bytesOnDisk -= released.reduce(0) { $0 + $1.byteCount }
            return released
        }
        for segment in released {
            do {
                try folder.removeSegment(segment.firstPosition)
            } catch {
                // It is found again at the next opening, and released again.
                logger.error("cannot delete a segment of the spool", error: error, metadata: segment.metadata)
            }
        }
        recycleNewestSegment(before: position)
    }

    /// Empties the newest segment when nothing in it is needed. It keeps its place on the disk, so this works on a full one.
    private func recycleNewestSegment(before position: UInt64) {
        // Not for every few records: it takes several waits for the disk.
        let isWorthwhile = { (state: borrowing State) in
            state.failure == nil && state.end <= position && state.durableEnd == state.end && state.segments.count == 1
                && state.newest.byteCount > self.segmentSize / 4
        }
        guard state.withLock({ isWorthwhile($0) }) else { return }
        writing.withLock { _ in
            synchronizing.withLock { _ in
                guard state.withLock({ isWorthwhile($0) }) else { return }
                let (old, file, end) = state.withLock { ($0.newest, $0.newestFile, $0.end) }
                do throws(SpoolError) {
                    // The name first: whatever is found in a segment whose header tells an earlier position has been released.
                    try folder.renameSegment(old.firstPosition, to: folder.segmentPath(end))
                    try file.reset(to: SegmentHeader(spool: id, firstPosition: end))
                } catch {
                    fail(error, "cannot empty a segment of the spool")
                    return
                }
                state.withLock { state in
                    state.segments = [Segment(firstPosition: end, byteCount: SegmentHeader.size)]
                    state.bytesOnDisk = SegmentHeader.size
                }
            }
        }
    }

    // MARK: Ending

    /// Makes durable what is not yet, gives the folder back, and ends all waiting with `.closed`. Nothing can be done with a
    /// closed spool.
    public func close() {
        writing.withLock { _ in
            guard state.withLock({ $0.failure != .closed }) else { return }
            // A failure is logged there, and nobody was promised anything.
            try? synchronize()
            end(with: .closed)
            lock.giveBack()
        }
    }

    /// Refuses everything from now on.
    func fail(_ error: SpoolError, _ message: Logger.Message) {
        logger.critical(message, error: error, metadata: ["folder": "\(folder.path)"])
        // Whatever it was, trying again is no way out.
        end(with: error == .diskFull ? .failed(ENOSPC) : error)
    }

    private func end(with failure: SpoolError) {
        let (durability, records) = state.withLock { state in
            if state.failure == nil || failure == .closed { state.failure = failure }
            defer {
                state.durabilityWaiters = []
                state.recordWaiters = [:]
            }
            return (state.durabilityWaiters, state.recordWaiters)
        }
        for waiter in durability { waiter.continuation.resume(returning: .failure(failure)) }
        for waiter in records.values { waiter.continuation.resume(returning: false) }
    }
}
