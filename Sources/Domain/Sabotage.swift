#if DEBUG
import Synchronization

/// Ways in which a debug build can be told to be wrong, so that the tests of the checker (docs/checker.md) see that it finds them.
/// Release builds have none of it.
public enum Sabotage: String, Sendable, CaseIterable {
    /// A commit counts as visible as soon as it is decoded.
    case visibility
    /// A message does not touch the queries that depend on its recipient.
    case invalidation
    /// A worker knows only those repeated mutations that it ran itself.
    case deduplication

    private static let chosen = Mutex<Sabotage?>(nil)

    /// What this process does wrong. `attune-api` takes it from the environment: `ATTUNE_SABOTAGE`.
    public static func choose(_ sabotage: Sabotage?) { chosen.withLock { $0 = sabotage } }

    public var isOn: Bool { Self.chosen.withLock { $0 } == self }
}
#endif
