import NIOCore
import Synchronization

/// The connections of one input: how many there may be, and how to end them all.
final class ConnectionCensus: Sendable {
    private struct State {
        /// What tells each one to end.
        var connections: [ObjectIdentifier: @Sendable () -> Void] = [:]
        var isStopping = false
        var whenEmpty: [CheckedContinuation<Void, Never>] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { state.withLock { $0.connections.count } }

    /// - Parameters:
    ///   - connection: the handler's identity.
    ///   - stop: tells it to end; may come from any thread.
    /// - Returns: whether there is room for one more.
    func enter(_ connection: ObjectIdentifier, stop: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            guard !state.isStopping, state.connections.count < limit else { return false }
            state.connections[connection] = stop
            return true
        }
    }

    /// The connection has ended, and everything that it had sent has been dealt with.
    func leave(_ connection: ObjectIdentifier) {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.connections[connection] = nil
            guard state.connections.isEmpty else { return [] }
            defer { state.whenEmpty = [] }
            return state.whenEmpty
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Admits no more connections, and tells those that are there to end.
    func stop() {
        let connections = state.withLock { state in
            state.isStopping = true
            return Array(state.connections.values)
        }
        for stop in connections { stop() }
    }

    /// Waits until the last connection has left. Not ended by cancellation.
    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if !state.connections.isEmpty { state.whenEmpty.append(continuation) }
                return state.connections.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
    }
}
