import Synchronization

/// The frames that have arrived on a socket and wait to be looked at, in order.
///
/// Bounded by its producer: `isFull` says when to stop reading from the socket, `onRoom` when to go on.
public final class FrameInbox: Sendable {
    private struct State {
        var frames: [[UInt8]] = []
        /// The first of `frames` that has not been taken.
        var head = 0
        var bytes = 0
        var isFinished = false
        var wasFull = false
        var waiter: CheckedContinuation<[UInt8]?, Never>?
    }

    private let state = Mutex(State())
    private let onRoom: @Sendable () -> Void
    private static let maximumBytes = 4 << 20
    private static let maximumFrames = 256

    public init(onRoom: @escaping @Sendable () -> Void) {
        self.onRoom = onRoom
    }

    /// - Returns: whether more may come at once; else wait for `onRoom`.
    public func append(_ frame: [UInt8]) -> Bool {
        let (waiter, hasRoom) = state.withLock { state -> (CheckedContinuation<[UInt8]?, Never>?, Bool) in
            if let waiter = state.waiter {
                state.waiter = nil
                return (waiter, true)
            }
            // Nobody will look at what comes after the end.
            guard !state.isFinished else { return (nil, true) }
            state.frames.append(frame)
            state.bytes += frame.count
            state.wasFull = state.bytes >= Self.maximumBytes || state.frames.count - state.head >= Self.maximumFrames
            return (nil, !state.wasFull)
        }
        waiter?.resume(returning: frame)
        return hasRoom
    }

    /// No more frames will come; those that wait are still given out.
    public func finish() {
        let waiter = state.withLock { state in
            state.isFinished = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }

    /// The next frame; nil at the end. One caller at a time.
    func next() async -> [UInt8]? {
        await withCheckedContinuation { continuation in
            let (frame, isOver, mustTell) = state.withLock { state -> ([UInt8]?, Bool, Bool) in
                guard state.head < state.frames.count else {
                    if !state.isFinished { state.waiter = continuation }
                    return (nil, state.isFinished, false)
                }
                let frame = state.frames[state.head]
                state.frames[state.head] = []
                state.head += 1
                state.bytes -= frame.count
                if state.head == state.frames.count {
                    state.frames.removeAll(keepingCapacity: false)
                    state.head = 0
                } else if state.head > Self.maximumFrames {
                    // A client that is always ahead of us never leaves it empty.
                    state.frames.removeFirst(state.head)
                    state.head = 0
                }
                let mustTell = state.wasFull && state.frames.isEmpty
                if mustTell { state.wasFull = false }
                return (frame, false, mustTell)
            }
            if mustTell { onRoom() }
            if let frame { continuation.resume(returning: frame) } else if isOver { continuation.resume(returning: nil) }
        }
    }

    var isEmpty: Bool { state.withLock { $0.head == $0.frames.count } }
}
