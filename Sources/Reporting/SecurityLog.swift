import Domain
import Synchronization
import Wire

/// The security events of one process: fills in what they have in common, and keeps what happens again and again short.
///
/// Reporting returns at once, and never fails the caller's work. No event has a password, a token or an e-mail address in it.
public final class SecurityLog: Sendable {
    /// Events that are the same thing happening again: of one series and one type, the first ones in a minute are reported each
    /// by itself, and those after them as one event with their number (`count` in its context). So who makes a million calls that
    /// are refused does not make a million events.
    public struct Series: Hashable, Sendable {
        let name: String
        let individually: Int

        /// - Parameters:
        ///   - name: what the events have in common: an address, a user, a function.
        ///   - individually: how many are reported by themselves.
        public init(_ name: String, individually: Int = 10) {
            self.name = name
            self.individually = individually
        }
    }

    /// An event, but for the end of its context.
    private struct Draft {
        var event: ReportedEvent
        var context: [JSON.Member]

        func finished(count: Int? = nil) -> ReportedEvent {
            var event = event
            var context = context
            if let count {
                event.details += " This happened \(count) more times within a minute."
                context.append(.init(key: "count", value: .number(Double(count))))
            }
            if !context.isEmpty { event.context = JSON.object(context).text }
            return event
        }
    }

    private struct Key: Hashable {
        let type: String
        /// Nil: of all series for which there was no room.
        let series: Series?
    }

    /// A series in the minute since it began.
    private struct Run {
        let began: Instant
        var reported = 0
        var withheld = 0
        /// The last that was withheld.
        var last: Draft?

        var summary: ReportedEvent? { withheld > 0 ? last?.finished(count: withheld) : nil }
    }

    /// How long a series counts before it begins anew.
    static let interval = Duration.seconds(60)
    /// How many series are told apart. With ten events each, a flood from any number of addresses is at most 200 events a second.
    static let maximumSeries = 1000

    /// Who reports: `ReportedEvent.source`.
    public let source: String
    private let reporter: any EventReporter
    private let now: @Sendable () -> Instant
    private let runs = Mutex<[Key: Run]>([:])

    /// - Parameter now: the wall clock.
    public init(source: String, reporter: any EventReporter, now: @escaping @Sendable () -> Instant = { .now() }) {
        self.source = source
        self.reporter = reporter
        self.now = now
    }

    /// Reports an event that happens now.
    ///
    /// - Parameters:
    ///   - type: one of `SecurityEventType`.
    ///   - details: one sentence for people.
    ///   - user: whom it concerns.
    ///   - session: of theirs, in which it happened.
    ///   - origin: the call that caused it.
    ///   - context: more that is known, by name.
    ///   - series: nil: each event counts for itself.
    public func report(
        _ type: String, _ severity: Severity, _ details: String, user: UserID? = nil, session: SessionID? = nil,
        origin: CallOrigin? = nil, context: [(name: String, value: JSON)] = [], series: Series? = nil
    ) {
        let now = now()
        let event = ReportedEvent(
            source: source, occurredAt: now, type: type, severity: severity, userID: user, ip: origin?.address, details: details)
        var members: [JSON.Member] = []
        if let session { members.append(.init(key: "session", value: .string(session.description))) }
        if let function = origin?.function { members.append(.init(key: "function", value: .string(function.description))) }
        if let requestID = origin?.requestID { members.append(.init(key: "requestId", value: .string(requestID))) }
        members += context.map { JSON.Member(key: $0.name, value: $0.value) }
        let draft = Draft(event: event, context: members)
        guard let series else { return reporter.report(draft.finished()) }
        for event in take(draft, of: series, at: now) { reporter.report(event) }
    }

    /// What is to be reported now that one more of the series has come.
    private func take(_ draft: Draft, of series: Series, at now: Instant) -> [ReportedEvent] {
        runs.withLock { runs in
            var due: [ReportedEvent] = []
            var key = Key(type: draft.event.type, series: series)
            if runs[key] == nil, runs.count >= Self.maximumSeries {
                due += Self.end(&runs) { $0.began + Self.interval <= now }
                if runs.count >= Self.maximumSeries { key = Key(type: draft.event.type, series: nil) }
            }
            var run = runs[key] ?? Run(began: now)
            if run.began + Self.interval <= now {
                if let summary = run.summary { due.append(summary) }
                run = Run(began: now)
            }
            if run.reported < series.individually {
                run.reported += 1
                due.append(draft.finished())
            } else {
                run.withheld += 1
                run.last = draft
            }
            runs[key] = run
            return due
        }
    }

    /// Reports how often the series have come whose minute is over. To be called every few seconds.
    public func reportSummaries() {
        let now = now()
        for event in runs.withLock({ Self.end(&$0) { $0.began + Self.interval <= now } }) { reporter.report(event) }
    }

    /// Reports what is withheld, before the process ends.
    public func finish() {
        for event in runs.withLock({ Self.end(&$0) { _ in true } }) { reporter.report(event) }
    }

    /// Forgets the runs that are over, and gives their summaries.
    private static func end(_ runs: inout [Key: Run], where isOver: (Run) -> Bool) -> [ReportedEvent] {
        let ended = runs.filter { isOver($0.value) }
        for key in ended.keys { runs[key] = nil }
        return ended.values.compactMap(\.summary)
    }
}
