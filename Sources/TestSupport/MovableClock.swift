import Domain
import Synchronization

/// A wall clock that moves when the test says so.
public final class MovableClock: Sendable {
    private let time = Mutex(Instant.now())

    public init() {}

    public var now: Instant { time.withLock { $0 } }

    public func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }
}
