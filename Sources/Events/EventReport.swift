import Domain

/// A report's JSON object and those in it that say more of the event: `metadata`, and a CloudEvent's `data`.
///
/// Where several say something, the outer one counts. What cannot be understood is as good as missing, and goes into the context
/// under its name.
struct EventReport {
    /// Those that there are, in the order in which they count: the report, its metadata, its data, the data's metadata.
    private var objects: [EventFields] = []

    init(_ members: [JSONScanner.Member], in scanner: JSONScanner) throws(EventRejection) {
        var report = EventFields(members, in: scanner)
        var data: EventFields?
        if let version = report.value(.specVersion) {
            guard version.text?.hasPrefix("1.") == true else { throw EventRejection("specversion is not 1.0") }
            report.take(.specVersion)
            report.take(.dataContentType)
            if let members = report.value(.data)?.members {
                report.take(.data)
                data = EventFields(members, in: scanner)
            }
        }
        append(report, in: scanner)
        if let data { append(data, in: scanner) }
    }

    /// Appends an object and its metadata.
    private mutating func append(_ object: EventFields, in scanner: JSONScanner) {
        objects.append(object)
        guard let members = object.value(.metadata)?.members else { return }
        objects[objects.count - 1].take(.metadata)
        objects.append(EventFields(members, in: scanner, knowing: [.details, .source, .context]))
    }

    /// Takes the first of the given members that `read` understands.
    private mutating func takeFirst<Result>(_ names: EventFields.Name..., as read: (EventFields.Value) -> Result?) -> Result? {
        for index in objects.indices {
            for name in names {
                guard let value = objects[index].value(name), let result = read(value) else { continue }
                objects[index].take(name)
                return result
            }
        }
        return nil
    }

    private func has(_ names: EventFields.Name...) -> Bool {
        objects.contains { object in names.contains { object.value($0) != nil } }
    }

    mutating func takeType() throws(EventRejection) -> String {
        if let type = takeFirst(.type, as: \.text) { return type }
        throw EventRejection(has(.type) ? "type is not text" : "type is missing")
    }

    mutating func takeSource() -> String? { takeFirst(.source, as: \.text) }

    /// An id may be a number.
    mutating func takeID() -> String? {
        takeFirst(.id) { id in id.number.map { String(decoding: $0, as: UTF8.self) } ?? id.text }
    }

    /// Numbers are OCSF's, under the name `severity_id`. As `severity` they would be ambiguous: 0 is the gravest to syslog, and
    /// the least to OCSF.
    mutating func takeSeverity() throws(EventRejection) -> Severity {
        if has(.severity) {
            guard let severity = takeFirst(.severity, as: { $0.text.flatMap(Severity.init(reported:)) }) else {
                throw EventRejection("severity is none of critical, high, medium and low, nor a known word for one of them")
            }
            return severity
        }
        return takeFirst(.severityID) { $0.number.flatMap(Severity.init(ocsf:)) } ?? .low
    }

    mutating func takeUserID() -> UserID? {
        takeFirst(.userID) { $0.text.flatMap(UserID.init(reported:)) }
    }

    mutating func takeIPAddress() -> IPAddress? {
        takeFirst(.ip) { $0.text.flatMap { IPAddress($0) } }
    }

    /// Nil also for times that cannot be stored.
    mutating func takeTime() -> Instant? {
        takeFirst(.timestamp, .occurredAt, .time) { value in
            guard let moment = value.number.flatMap(Instant.init(milliseconds:)) ?? value.plainText.flatMap(Instant.init(rfc3339:)),
                Timestamp.range.contains(moment)
            else { return nil }
            return moment
        }
    }

    var hasTime: Bool { has(.timestamp, .occurredAt, .time) }

    mutating func takeDetails() -> String? { takeFirst(.details, .message, as: \.text) }

    /// Text, or an object as its text.
    mutating func takeContext() -> String? {
        takeFirst(.context) { $0.isObject ? $0.json : $0.text }
    }

    /// What has not been taken, as members of a JSON object.
    var rest: [UInt8] {
        var rest: [UInt8] = []
        for object in objects { object.appendRest(to: &rest) }
        return rest
    }
}

extension Severity {
    /// Our own words, and those of syslog, OCSF and Sigma; in any case.
    fileprivate init?(reported word: String) {
        if let severity = Severity(rawValue: word) {
            self = severity
            return
        }
        switch word.utf8.count <= 16 ? word.lowercased() : "" {
        case "critical", "emerg", "emergency", "panic", "alert", "crit", "fatal": self = .critical
        case "high", "error", "err": self = .high
        case "medium", "moderate", "warning", "warn": self = .medium
        case "low", "notice", "informational", "info", "debug", "unknown", "other": self = .low
        default: return nil
        }
    }

    /// OCSF's `severity_id`: 1 is informational, 6 is fatal, 0 is unknown, 99 is other.
    fileprivate init?(ocsf number: UnsafeRawBufferPointer) {
        switch String(decoding: number, as: UTF8.self) {
        case "0", "1", "2", "99": self = .low
        case "3": self = .medium
        case "4": self = .high
        case "5", "6": self = .critical
        default: return nil
        }
    }
}

extension UserID {
    /// The API's form (`user_…`), or a UUID with its hyphens. Without them it might be any other number of 128 bits.
    fileprivate init?(reported text: String) {
        if let id = UserID(text) {
            self = id
        } else if text.utf8.count == 36, let uuid = UUIDBits(text) {
            self.init(uuid)
        } else {
            return nil
        }
    }
}

extension Instant {
    /// From a JSON number.
    fileprivate init?(milliseconds number: UnsafeRawBufferPointer) {
        // 15 digits are enough for every year up to 9999.
        if number.count <= 15, number.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) {
            self.init(microseconds: number.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) } * 1_000)
        } else {
            guard let value = Double(String(decoding: number, as: UTF8.self)),
                let microseconds = Int64(exactly: (value * 1_000).rounded())
            else { return nil }
            self.init(microseconds: microseconds)
        }
    }
}
