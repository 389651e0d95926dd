import Logging

struct Segment: Sendable {
    let firstPosition: UInt64
    /// Header and whole batches.
    var byteCount: Int

    var metadata: Logger.Metadata { ["segment": "\(SpoolFolder.segmentName(firstPosition))"] }
}

extension Spool {
    struct DurabilityWaiter {
        let position: UInt64
        let continuation: CheckedContinuation<Result<Void, SpoolError>, Never>
    }

    struct RecordWaiter {
        let position: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    struct State {
        /// Ascending, never empty. The last one is written to.
        var segments: [Segment]
        var newestFile: OpenFile
        var bytesOnDisk: Int
        var end: UInt64
        var durableEnd: UInt64
        /// Why nothing is taken any more.
        var failure: SpoolError?
        /// Whether a job on the queue is going to see all that is written now.
        var isSynchronizing = false
        var durabilityWaiters: [DurabilityWaiter] = []
        var recordWaiters: [UInt64: RecordWaiter] = [:]
        var nextRecordWaiter: UInt64 = 0

        init(_ recovered: RecoveredSpool) {
            segments = recovered.segments
            newestFile = recovered.newestFile
            bytesOnDisk = recovered.segments.reduce(0) { $0 + $1.byteCount }
            end = recovered.end
            durableEnd = recovered.end
        }

        var newest: Segment {
            get { segments[segments.count - 1] }
            set { segments[segments.count - 1] = newValue }
        }

        /// The position after the last record of a segment.
        func end(of segment: Segment) -> UInt64 {
            let next = index(after: segment.firstPosition)
            return next < segments.count ? segments[next].firstPosition : end
        }

        /// Of the first segment that begins after the position.
        func index(after position: UInt64) -> Int {
            var low = 0
            var high = segments.count
            while low < high {
                let middle = (low + high) / 2
                if segments[middle].firstPosition <= position { low = middle + 1 } else { high = middle }
            }
            return low
        }

        /// Throws when nothing is taken any more.
        func checked() throws(SpoolError) -> (newest: Segment, end: UInt64, bytesOnDisk: Int) {
            if let failure { throw failure }
            return (newest, end, bytesOnDisk)
        }
    }
}
