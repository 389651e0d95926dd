import Domain
import Synchronization

/// Keeps what is reported.
public final class RecordingReporter: EventReporter {
    private let reports = Mutex<[ReportedEvent]>([])

    public init() {}

    public var events: [ReportedEvent] { reports.withLock { $0 } }

    public func report(_ event: ReportedEvent) {
        reports.withLock { $0.append(event) }
    }
}
