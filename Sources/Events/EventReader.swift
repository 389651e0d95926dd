import Domain

/// Reads security events as JSON objects: in the product's own shape (`SecurityEvent` with `source` and `id`), or as CloudEvents
/// 1.0. docs/ingest.md describes what it takes.
///
/// Whatever it returns, PostgreSQL stores. What it does not understand goes into the event's context.
public struct EventReader: Sendable {
    private let defaultSource: String

    /// - Parameter defaultSource: the source of events that name none.
    public init(defaultSource: String) {
        self.defaultSource = defaultSource
    }

    /// Reads one event.
    ///
    /// - Parameters:
    ///   - json: one JSON object, with or without blanks around it; at most `EventLimits.report` bytes.
    ///   - receivedAt: when the event occurred if it does not say so.
    public func read(_ json: UnsafeRawBufferPointer, receivedAt: Instant) throws(EventRejection) -> ReportedEvent {
        guard json.count <= EventLimits.report else { throw .tooLong("the event", EventLimits.report) }
        var scanner = JSONScanner(json)
        scanner.skipBlanks()
        guard scanner.current == UInt8(ascii: "{") else {
            _ = try scanner.takeValue()
            throw .notAnObject
        }
        let members = try scanner.takeMembers(within: EventLimits.report)
        scanner.skipBlanks()
        guard scanner.isAtEnd else { throw scanner.failure("unexpected text after the value") }
        return try event(members, in: scanner, receivedAt: receivedAt)
    }

    /// As above.
    public func read(_ json: ArraySlice<UInt8>, receivedAt: Instant) throws(EventRejection) -> ReportedEvent {
        try json.withUnsafeBufferPointer { (json) throws(EventRejection) in
            try read(UnsafeRawBufferPointer(json), receivedAt: receivedAt)
        }
    }

    /// As above.
    public func read(_ json: [UInt8], receivedAt: Instant) throws(EventRejection) -> ReportedEvent {
        try read(json[...], receivedAt: receivedAt)
    }

    /// The event that an object's members describe.
    func event(
        _ members: [JSONScanner.Member], in scanner: JSONScanner, receivedAt: Instant
    ) throws(EventRejection) -> ReportedEvent {
        var report = try EventReport(members, in: scanner)
        let type = try report.takeType()
        let severity = try report.takeSeverity()
        let occurredAt = report.takeTime()
        let clock = occurredAt.map { ClockFlag($0, receivedAt: receivedAt) } ?? (report.hasTime ? .unreadable : nil)
        var event = ReportedEvent(
            source: report.takeSource() ?? defaultSource, id: report.takeID(), occurredAt: occurredAt ?? receivedAt,
            type: type, severity: severity, userID: report.takeUserID(), ip: report.takeIPAddress(),
            details: report.takeDetails() ?? type)
        let context = report.takeContext()
        event.context = EventContext.text(notes: clock?.note ?? [], given: context, others: report.rest)
        try event.fit()
        return event
    }
}

extension EventRejection {
    static let notAnObject = EventRejection("not a JSON object")
}
