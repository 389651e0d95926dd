import Domain
import Synchronization

/// Keeps what is reported.
final class RecordingReporter: EventReporter {
    private let reports = Mutex<[ReportedEvent]>([])

    var events: [ReportedEvent] { reports.withLock { $0 } }

    func report(_ event: ReportedEvent) {
        reports.withLock { $0.append(event) }
    }
}

/// A wall clock that moves when the test says so.
final class MovableClock: Sendable {
    private let time = Mutex(Instant.now())
    var now: Instant { time.withLock { $0 } }
    func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }
}
