import Synchronization

/// What a socket tells of itself: the frames that have arrived and wait to be looked at, in order, and that things have changed.
///
/// Nobody waits for what comes: when something has come, and nobody is taking it, whoever serves the socket is woken up. Most
/// sockets are idle most of the time, and then cost no task.
///
/// Bounded by its producer: `append` says when to stop reading from the socket, `onRoom` when to go on.
public final class FrameInbox: Sendable {
    fileprivate struct State {
        var frames: [[UInt8]] = []
        /// The first of `frames` that has not been taken.
        var head = 0
        var bytes = 0
        var wasFull = false
        var hasRoom = false
        var draining = Progress.no
        var end = Progress.no
        /// Nil before the socket is served, and after its end.
        var wakeUp: (@Sendable () -> Void)?
        /// Somebody takes what comes until nothing is left.
        var isBeingTaken = false

        enum Progress {
            case no, due, told
        }
    }

    enum Event: Sendable {
        case frame([UInt8])
        /// The client, which had fallen behind, has caught up with what was sent to it.
        case room
        /// The worker stops. No more frames come.
        case drain
        /// Nothing comes any more.
        case end
    }

    private let state = Mutex(State())
    private let onRoom: @Sendable () -> Void
    private static let maximumBytes = 4 << 20
    fileprivate static let maximumFrames = 256

    public init(onRoom: @escaping @Sendable () -> Void) {
        self.onRoom = onRoom
    }

    /// - Returns: whether more may come at once; else wait for `onRoom`.
    public func append(_ frame: [UInt8]) -> Bool {
        var hasRoom = true
        change { state in
            // Nobody will look at what comes after the end.
            guard state.end == .no, state.draining == .no else { return }
            state.frames.append(frame)
            state.bytes += frame.count
            state.wasFull = state.bytes >= Self.maximumBytes || state.frames.count - state.head >= Self.maximumFrames
            hasRoom = !state.wasFull
        }
        return hasRoom
    }

    /// The client has taken what waited for it.
    public func noteRoom() { change { $0.hasRoom = true } }

    /// The worker stops: frames that wait are still looked at, later ones are not.
    public func drain() { change { if $0.draining == .no { $0.draining = .due } } }

    /// No more frames will come; those that wait are still given out.
    public func finish() { change { if $0.end == .no { $0.end = .due } } }

    private func change(_ body: (inout State) -> Void) {
        let wakeUp = state.withLock { state -> (@Sendable () -> Void)? in
            body(&state)
            guard !state.isBeingTaken, let wakeUp = state.wakeUp, state.hasEvent else { return nil }
            state.isBeingTaken = true
            return wakeUp
        }
        wakeUp?()
    }

    /// - Parameter wakeUp: called at once, and then whenever something has come and nobody is taking it; it has `next` called
    ///   until that gives nil.
    func serve(_ wakeUp: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.wakeUp = wakeUp
            state.isBeingTaken = true
        }
        wakeUp()
    }

    /// What has come next; nil: nothing more for now. The last event is `end`.
    func next() -> Event? {
        let (event, mustTell) = state.withLock { state -> (Event?, Bool) in
            guard let event = state.takeEvent() else {
                state.isBeingTaken = false
                return (nil, false)
            }
            let mustTell = state.wasFull && state.frames.isEmpty
            if mustTell { state.wasFull = false }
            return (event, mustTell)
        }
        if mustTell { onRoom() }
        return event
    }

    var isEmpty: Bool { state.withLock { $0.head == $0.frames.count } }
}

extension FrameInbox.State {
    fileprivate var hasEvent: Bool { hasRoom || head < frames.count || draining == .due || end == .due }

    fileprivate mutating func takeEvent() -> FrameInbox.Event? {
        if hasRoom {
            hasRoom = false
            return .room
        }
        if let frame = takeFrame() { return .frame(frame) }
        if draining == .due {
            draining = .told
            return .drain
        }
        guard end == .due else { return nil }
        end = .told
        // It leads back here.
        wakeUp = nil
        return .end
    }

    private mutating func takeFrame() -> [UInt8]? {
        guard head < frames.count else { return nil }
        let frame = frames[head]
        frames[head] = []
        head += 1
        bytes -= frame.count
        if head == frames.count {
            frames.removeAll(keepingCapacity: false)
            head = 0
        } else if head > FrameInbox.maximumFrames {
            // A client that is always ahead of us never leaves it empty.
            frames.removeFirst(head)
            head = 0
        }
        return frame
    }
}
