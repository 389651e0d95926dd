import DequeModule
import NIOCore
import Synchronization

/// The HTTP connections that are open. When one too many comes, the one that has been idle longest makes room for it: so
/// connections that nobody uses, however many, keep nobody out.
final class HTTPConnections: Sendable {
    typealias ID = UInt64

    private struct Open {
        let channel: any Channel
        /// Its entry in `idle`. Nil while it has a request.
        var turn: UInt64?
    }

    private struct State {
        var lastNumber: UInt64 = 0
        var open: [ID: Open] = [:]
        /// Longest first. Those whose turn is another by now do not count.
        var idle: Deque<(id: ID, turn: UInt64)> = []

        mutating func nextNumber() -> UInt64 {
            lastNumber += 1
            return lastNumber
        }
    }

    private let maximum: Int
    private let state = Mutex(State())

    init(maximum: Int) {
        self.maximum = maximum
    }

    var count: Int { state.withLock { $0.open.count } }

    /// Counts a new connection, which is idle at first.
    func add(_ channel: any Channel) -> ID {
        let (id, superfluous) = state.withLock { state in
            let id = state.nextNumber()
            let superfluous = state.open.count < maximum ? nil : Self.takeLongestIdle(&state)
            // With a request on every connection, the new one has to go.
            let isKept = state.open.count < maximum
            state.open[id] = Open(channel: channel)
            if isKept { Self.noteIdle(id, &state) }
            return (id, isKept ? superfluous : channel)
        }
        superfluous?.close(promise: nil)
        return id
    }

    func setIdle(_ isIdle: Bool, _ id: ID) {
        state.withLock { state in
            if isIdle { Self.noteIdle(id, &state) } else { state.open[id]?.turn = nil }
        }
    }

    func remove(_ id: ID) {
        state.withLock { $0.open[id] = nil }
    }

    private static func noteIdle(_ id: ID, _ state: inout State) {
        let turn = state.nextNumber()
        guard state.open[id] != nil else { return }
        state.open[id]?.turn = turn
        state.idle.append((id, turn))
        // Most entries are out of date where connections are used a lot.
        if state.idle.count > 2 * state.open.count + 64 {
            let open = state.open
            state.idle.removeAll { open[$0.id]?.turn != $0.turn }
        }
    }

    private static func takeLongestIdle(_ state: inout State) -> (any Channel)? {
        while let (id, turn) = state.idle.popFirst() {
            if let open = state.open[id], open.turn == turn {
                state.open[id] = nil
                return open.channel
            }
        }
        return nil
    }
}
