import NIOCore
import Synchronization

/// What the sockets of a worker have in common: how many there are, how much waits in them, and when they have to go.
final class SocketCensus: Sendable {
    let limits: ConnectionLimits
    private let sockets = Atomic(0)
    private let unreadBytes = Atomic(0)

    init(limits: ConnectionLimits) {
        self.limits = limits
    }

    /// Counts a new socket in; false, and nothing counted, when there is no room for it.
    func enter() -> Bool {
        guard sockets.add(1, ordering: .relaxed).oldValue < limits.sockets else {
            leave()
            return false
        }
        return true
    }

    func leave() { sockets.subtract(1, ordering: .relaxed) }

    /// Returns when there is no socket any more, or the task is cancelled.
    func waitUntilEmpty() async {
        while sockets.load(ordering: .relaxed) > 0, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(10)) }
    }

    /// Notes bytes that wait for a client.
    /// - Returns: whether all sockets together are within the limit.
    func add(unread bytes: Int) -> Bool { unreadBytes.add(bytes, ordering: .relaxed).newValue <= limits.totalUnreadBytes }

    func subtract(unread bytes: Int) { unreadBytes.subtract(bytes, ordering: .relaxed) }

    /// When one socket's turn comes if all have to go: at random, over a time that grows with their number.
    func farewellDelay() -> TimeAmount {
        let span = min(limits.longestFarewell, limits.farewellInterval * sockets.load(ordering: .relaxed))
        return TimeAmount(span * Double.random(in: 0..<1))
    }
}
