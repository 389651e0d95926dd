import Domain
import Events
import Rules
import Wire

/// Runs an input through every parser of events, and checks what must hold whatever the input.
public struct ParserCheck: Sendable {
    private let reader = EventReader(defaultSource: "urn:attune:fuzz")
    private let rules = RuleBook.standard.lines
    private let receivedAt = Instant(microseconds: 1_795_399_200_000_000)

    public init() {}

    /// - Returns: the events that were accepted, in the order of the parsers.
    /// - Throws: `FuzzFinding` if something does not hold.
    @discardableResult
    public func check(_ input: [UInt8]) throws -> [ReportedEvent] {
        var events: [ReportedEvent] = []
        if let event = try checkEvent(input) { events.append(event) }
        try checkAgainstTree(input)
        events += try checkBody(input, format: .json)
        events += try checkBody(input, format: .lines)
        if let event = checkBinaryCloudEvent(input) { events.append(event) }
        if let event = checkLogLine(input) { events.append(event) }
        checkStored(input)
        for event in events { try checkAccepted(event) }
        return events
    }

    private func read(_ json: ArraySlice<UInt8>) -> Result<ReportedEvent, EventRejection> {
        do throws(EventRejection) {
            return .success(try reader.read(json, receivedAt: receivedAt))
        } catch {
            return .failure(error)
        }
    }

    private func checkEvent(_ input: [UInt8]) throws -> ReportedEvent? {
        switch read(input[...]) {
        case .success(let event): return event
        case .failure(let rejection):
            try require(!rejection.reason.isEmpty && rejection.reason.utf8.count < 200, "a reason of the wrong length")
            return nil
        }
    }

    /// `Wire.JSON` reads the same grammar by other code. It also refuses what is not Unicode, and numbers that no double holds.
    private func checkAgainstTree(_ input: [UInt8]) throws {
        guard input.count <= EventLimits.report else { return }
        let rejection = if case .failure(let rejection) = read(input[...]) { rejection.reason } else { nil as String? }
        // Said of what only begins with a value, too.
        guard rejection != "not a JSON object" else { return }
        let isJSON = rejection.map { !$0.hasPrefix("not JSON") && !$0.hasPrefix("nested") } ?? true
        do {
            _ = try JSON(parsing: input, maximumDepth: 32)
        } catch {
            let isTolerated = ["number out of range", "field name is not valid Unicode", "invalid UTF-8"].contains(error.reason)
            return try require(!isJSON || isTolerated, "took what is not JSON: \(error)")
        }
        try require(isJSON, "refused JSON: \(rejection ?? "")")
    }

    /// Each report of a body is read as it would be by itself.
    private func checkBody(_ input: [UInt8], format: EventBody.Format) throws -> [ReportedEvent] {
        var events: [ReportedEvent] = []
        var end = 0
        for (index, report) in EventBody(input, format: format, reader: reader, receivedAt: receivedAt).enumerated() {
            try require(report.index == index, "reports are not numbered in order")
            try require(report.raw.lowerBound >= end && report.raw.upperBound <= input.count, "reports overlap")
            end = report.raw.upperBound
            if case .success(let event) = report.result {
                try require(read(input[report.raw]) == report.result, "read otherwise by itself")
                events.append(event)
            }
        }
        return events
    }

    private func checkBinaryCloudEvent(_ input: [UInt8]) -> ReportedEvent? {
        let text = String(decoding: input.prefix(200), as: UTF8.self)
        let headers = ["ce-specversion": "1.0", "ce-type": text, "ce-id": text, "ce-source": "s", "ce-time": text]
        return try? reader.readBinaryCloudEvent(headers: headers, body: input[...], receivedAt: receivedAt)
    }

    private func checkLogLine(_ input: [UInt8]) -> ReportedEvent? {
        let line = input.withUnsafeBytes { SyslogParser.parse($0, receivedAt: receivedAt) }
        guard var event = rules.event(for: line, source: "syslog:fuzz", receivedAt: receivedAt) else { return nil }
        event.flagClock(receivedAt: receivedAt)
        return (try? event.fit()) == nil ? nil : event
    }

    /// What is read back from a disk or from people.
    private func checkStored(_ input: [UInt8]) {
        _ = try? EventRow.decode(input[...])
        _ = try? SpoolEntry(decoding: input[...])
        _ = Instant(rfc3339: input)
        _ = IPAddress(String(decoding: input.prefix(100), as: UTF8.self))
        _ = EventBody.Format(contentType: String(decoding: input.prefix(100), as: UTF8.self))
    }

    /// What is accepted keeps the limits, and is the same again when its row is read.
    private func checkAccepted(_ event: ReportedEvent) throws {
        var fitted = event
        try fitted.fit()
        try require(fitted == event, "an accepted event does not fit")
        try require(
            !event.type.isEmpty && event.type.utf8.count <= EventLimits.type && event.source.utf8.count <= EventLimits.source
                && event.id?.utf8.count ?? 0 <= EventLimits.id && event.details.utf8.count <= EventLimits.details
                && event.context?.utf8.count ?? 0 <= EventLimits.context, "a limit is broken")
        for text in [event.type, event.source, event.id ?? "", event.details, event.context ?? ""] {
            try require(!text.utf8.contains(0), "a NUL character")
        }
        var record: [UInt8] = []
        try SpoolEntry.append(event, key: event.key, input: .http, to: &record)
        guard case .event(.http, let key, let row) = try SpoolEntry(decoding: record[...]) else {
            throw FuzzFinding("a record reads as something else")
        }
        try require(key == event.key, "a record has another key")
        var expected = event
        expected.id = nil
        try require(try EventRow.decode(row).event == expected, "a row reads as another event")
    }

    private func require(_ condition: @autoclosure () throws -> Bool, _ otherwise: @autoclosure () -> String) throws {
        guard try condition() else { throw FuzzFinding(otherwise()) }
    }
}

/// Something that must hold does not.
public struct FuzzFinding: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
