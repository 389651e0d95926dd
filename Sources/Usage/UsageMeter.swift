// Usage is what a worker notes of its clients' calls, and how that becomes rows of function_calls and session_activity.
// docs/metrics.md says what is counted; attune-metrics adds it up.
import Domain
import Synchronization

/// Takes note of clients' calls, from any thread, in less than a microsecond.
///
/// Nobody's call waits for the database: `UsageReporting` takes what was noted, every few seconds, and stores it.
public final class UsageMeter: Sendable {
    /// Of how many sign-ins activity may be waiting to be stored. The activity of further ones is lost, and counted as such; their
    /// calls count all the same.
    public let maximumSessions: Int
    private let notes = Mutex(UsageNotes())

    public init(maximumSessions: Int = 100_000) {
        self.maximumSessions = maximumSessions
    }

    /// Notes a call that has just been answered.
    ///
    /// - Parameters:
    ///   - function: `messages:list`. Only functions that exist: each name is kept.
    ///   - duration: how long the answer took.
    ///   - hasFailed: by our fault.
    public func note(_ function: String, by caller: Caller, took duration: Duration, hasFailed: Bool) {
        let arrival = caller.principal == nil ? nil : Instant.now() - duration
        notes.withLock { notes in
            notes.calls[function, default: CallTally()].add(duration, hasFailed: hasFailed)
            if let principal = caller.principal, let arrival {
                notes.add(Stretch(principal.userID, arrival), of: principal.sessionID, limit: maximumSessions)
            }
        }
    }

    /// What was noted since the last time.
    func take() -> UsageNotes {
        // Room for as much again, made outside the lock, so that nobody's call waits while a large table grows.
        let sessions = notes.withLock { $0.activity.count }
        var taken = UsageNotes(expectedSessions: sessions)
        notes.withLock { swap(&$0, &taken) }
        return taken
    }
}
