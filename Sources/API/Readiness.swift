import Synchronization

/// Whether this worker still wants new work.
public final class Readiness: Sendable {
    private let draining = Atomic(false)

    public init() {}

    /// The worker is stopping: it finishes what runs.
    public var isDraining: Bool { draining.load(ordering: .relaxed) }

    public func startDraining() { draining.store(true, ordering: .relaxed) }
}
