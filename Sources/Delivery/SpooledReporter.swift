import Domain
import Logging
import Metrics
import ServiceLifecycle
import Synchronization

/// Reports events of the process's own into its spool.
///
/// An event survives the end of the process from the moment at which `report` returns. When the spool takes no more, events are
/// lost: they are counted, and the count is an event itself as soon as there is room again.
public final class SpooledReporter: EventReporter, Service {
    private let intake: Intake
    private let source: String
    private let logger: Logger
    /// Events that were lost and not told of yet.
    private let lost = Mutex(0)
    private let lostCounter = Counter(label: "attune_events_lost_total")

    /// - Parameter source: of the event that tells of lost ones.
    public init(_ intake: Intake, source: String, logger: Logger) {
        self.intake = intake
        self.source = source
        self.logger = logger
    }

    /// Writes the event to the spool's file, which takes some microseconds. It gets an id if it has none, so that it is stored
    /// once.
    public func report(_ event: ReportedEvent) {
        var event = event
        if event.id == nil { event.id = UUIDBits.v7(milliseconds: event.occurredAt.microseconds / 1_000).description }
        if !append(event) { lose(1) }
    }

    private func append(_ event: ReportedEvent) -> Bool {
        var batch = IntakeBatch()
        do {
            try batch.add(event, input: .api)
            try intake.acceptWithoutWaiting(batch)
            return true
        } catch {
            return false
        }
    }

    private func lose(_ count: Int) {
        lostCounter.increment(by: count)
        let isFirst = lost.withLock { lost in
            defer { lost += count }
            return lost == 0
        }
        if isFirst { logger.error("security events are being lost: the spool takes no more") }
    }

    /// Tells of lost events, if there are any.
    func tellOfLost() {
        let count = lost.withLock { lost in
            defer { lost = 0 }
            return lost
        }
        guard count > 0 else { return }
        let event = ReportedEvent(
            source: source, id: UUIDBits.random().description, occurredAt: .now(), type: SecurityEventType.eventsLost,
            severity: .high, details: "\(count) security events were lost, because the spool took no more.",
            context: #"{"count":\#(count)}"#)
        if append(event) {
            logger.warning("security events were lost", metadata: ["events": "\(count)"])
        } else {
            lost.withLock { $0 += count }
        }
    }

    /// Looks now and then whether there is something to tell, until graceful shutdown or cancellation.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                self.tellOfLost()
                try? await Task.sleep(for: .seconds(1))
            }
        }
        tellOfLost()
    }
}
