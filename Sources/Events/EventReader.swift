import Domain
import Wire

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
        try json.withUnsafeBytes { (json) throws(EventRejection) in try read(json, receivedAt: receivedAt) }
    }

    /// As above.
    public func read(_ json: [UInt8], receivedAt: Instant) throws(EventRejection) -> ReportedEvent {
        try read(json[...], receivedAt: receivedAt)
    }

    /// The event that an object's members describe.
    func event(
        _ members: [JSONScanner.Member], in scanner: JSONScanner, receivedAt: Instant
    ) throws(EventRejection) -> ReportedEvent {
        var objects = try EventObjects(members, in: scanner)
        let (occurredAt, clock) = objects.takeTime(receivedAt: receivedAt)
        var event = ReportedEvent(
            source: objects.takeSource() ?? defaultSource, id: objects.takeID(), occurredAt: occurredAt,
            type: try objects.takeType(), severity: try objects.takeSeverity(), userID: objects.takeUserID(),
            ip: objects.takeIPAddress(), details: "")
        event.details = objects.takeDetails() ?? event.type
        let given = objects.takeContext()
        event.context = EventContext.text(notes: clock?.note ?? [], given: given, others: objects.rest())
        try event.fit()
        return event
    }
}

extension EventRejection {
    static let notAnObject = EventRejection("not a JSON object")
}

/// The objects in which a report may say things: itself, its `metadata`, and a CloudEvent's `data`.
private struct EventObjects {
    private let scanner: JSONScanner
    private var top: EventFields
    private var metadata: EventFields?
    private var data: EventFields?
    private var isCloudEvent = false

    init(_ members: [JSONScanner.Member], in scanner: JSONScanner) throws(EventRejection) {
        self.scanner = scanner
        top = EventFields(members, in: scanner)
        if let version = top.value(.specVersion) {
            guard version.kind == .string, scanner.content(of: version).starts(with: "1.".utf8) else {
                throw EventRejection("specversion is not 1.0")
            }
            isCloudEvent = true
            top.take(.specVersion)
            top.take(.dataContentType)
            data = Self.takeObject(.data, of: &top, in: scanner)
        }
        let isKnownInMetadata = { (name: EventFields.Name) in name == .details || name == .source || name == .context }
        metadata = Self.takeObject(.metadata, of: &top, in: scanner, knowing: isKnownInMetadata)
        if metadata == nil, data != nil {
            metadata = Self.takeObject(.metadata, of: &data!, in: scanner, knowing: isKnownInMetadata)
        }
    }

    private static func takeObject(
        _ name: EventFields.Name, of fields: inout EventFields, in scanner: JSONScanner,
        knowing names: (EventFields.Name) -> Bool = { _ in true }
    ) -> EventFields? {
        guard let value = fields.value(name), value.kind == .object else { return nil }
        var inside = JSONScanner(scanner.bytes, at: value.start)
        // It has been read past before, so it is an object now too.
        guard let members = try? inside.takeMembers(within: .max) else { return nil }
        fields.take(name)
        return EventFields(members, in: scanner, knowing: names)
    }

    mutating func takeSource() -> String? {
        top.takeText(.source) ?? metadata?.takeText(.source) ?? data?.takeText(.source)
    }

    /// Ids may be numbers.
    mutating func takeID() -> String? {
        if let value = top.value(.id), value.kind == .number {
            top.take(.id)
            return String(decoding: scanner.content(of: value), as: UTF8.self)
        }
        return top.takeText(.id) ?? data?.takeText(.id)
    }

    mutating func takeType() throws(EventRejection) -> String {
        if let value = top.value(.type), value.kind != .string { throw EventRejection("type is not text") }
        guard let type = top.takeText(.type) ?? data?.takeText(.type) else { throw EventRejection("type is missing") }
        return type
    }

    mutating func takeDetails() -> String? {
        metadata?.takeText(.details) ?? top.takeText(.details) ?? top.takeText(.message) ?? data?.takeText(.details)
            ?? data?.takeText(.message)
    }

    mutating func takeSeverity() throws(EventRejection) -> Severity {
        try Self.takeSeverity(of: &top, in: scanner) ?? Self.takeSeverity(of: &data, in: scanner) ?? .low
    }

    private static func takeSeverity(of fields: inout EventFields?, in scanner: JSONScanner) throws(EventRejection) -> Severity? {
        guard fields != nil else { return nil }
        return try takeSeverity(of: &fields!, in: scanner)
    }

    private static func takeSeverity(of fields: inout EventFields, in scanner: JSONScanner) throws(EventRejection) -> Severity? {
        if let value = fields.value(.severity) {
            // Numbers mean opposite things: 0 is the gravest to syslog, the least to OCSF, whose numbers are `severity_id`.
            guard value.kind == .string else { throw EventRejection("severity is not text") }
            if let text = fields.takeText(.severity) {
                guard let severity = Severity(reported: text) else { throw EventRejection("severity is not a known one") }
                return severity
            }
        }
        if let value = fields.value(.severityID), value.kind == .number,
            let severity = Severity(ocsf: String(decoding: scanner.content(of: value), as: UTF8.self))
        {
            fields.take(.severityID)
            return severity
        }
        return nil
    }

    mutating func takeTime(receivedAt: Instant) -> (Instant, ClockFlag?) {
        var flag: ClockFlag?
        for name in [EventFields.Name.timestamp, .occurredAt, .time] {
            guard let value = top.value(name) else { continue }
            if let moment = Instant(reported: value, in: scanner) {
                top.take(name)
                return (moment, ClockFlag(moment, receivedAt: receivedAt))
            }
            flag = .unreadable
        }
        for name in [EventFields.Name.timestamp, .occurredAt, .time] {
            guard let value = data?.value(name) else { continue }
            if let moment = Instant(reported: value, in: scanner) {
                data?.take(name)
                return (moment, ClockFlag(moment, receivedAt: receivedAt))
            }
            flag = .unreadable
        }
        return (receivedAt, flag)
    }
}
