import Domain
import Events
import Wire

/// What could not be stored, and why: one line of a file of dead letters.
public struct DeadLetter: Equatable, Sendable {
    /// In the spool.
    public let position: UInt64
    /// When it came in, or when PostgreSQL refused it.
    public let at: Instant
    /// The input's name; `unknown` for what was damaged in the spool.
    public let input: String
    public let reason: String
    /// An event that PostgreSQL refused: a JSON object such as the daemon takes.
    public let event: JSON?
    /// What could not be read as an event, as it came in.
    public let raw: [UInt8]?
    /// The event as it stood in the spool, so that a replay stores the same row under the same key.
    let entry: [UInt8]?

    /// A report that could not become an event.
    init(position: UInt64, at moment: Instant, input: Input, reason: String, raw: ArraySlice<UInt8>) {
        self.init(position: position, at: moment, input: input.name, reason: reason, event: nil, raw: Array(raw), entry: nil)
    }

    /// An event that PostgreSQL refuses.
    init(position: UInt64, input: Input, reason: String, row: ArraySlice<UInt8>, entry: ArraySlice<UInt8>) {
        let event = try? EventRow.decode(row).event
        self.init(
            position: position, at: .now(), input: input.name, reason: reason, event: event?.json, raw: nil, entry: Array(entry))
    }

    /// A record, or several, whose bytes are not what was written.
    init(position: UInt64, damage reason: String, raw: ArraySlice<UInt8>? = nil) {
        self.init(
            position: position, at: .now(), input: Input?.none.ledgerName, reason: reason, event: nil,
            raw: raw.map { Array($0.prefix(SpoolEntry.maximumRawLength)) }, entry: nil)
    }

    private init(
        position: UInt64, at moment: Instant, input: String, reason: String, event: JSON?, raw: [UInt8]?, entry: [UInt8]?
    ) {
        self.position = position
        at = moment
        self.input = input
        self.reason = reason
        self.event = event
        self.raw = raw
        self.entry = entry
    }
}

extension DeadLetter {
    /// Reads a line. Nil for what is none.
    public init?(line: some Collection<UInt8>) {
        guard let json = try? JSON(parsing: line), let position = json["position"]?.countValue, case .number(let at)? = json["at"],
            let input = json["input"]?.stringValue, let reason = json["reason"]?.stringValue
        else { return nil }
        let text = json["raw"]?.stringValue.map { Array($0.utf8) }
        self.init(
            position: UInt64(position), at: Instant(microseconds: Int64(at * 1_000)), input: input, reason: reason,
            event: json["event"], raw: text ?? json["raw_base64"]?.stringValue.flatMap { Base64.decode($0) },
            entry: json["entry"]?.stringValue.flatMap { Base64.decode($0) })
    }

    /// A JSON object, without a line's end.
    public var line: [UInt8] {
        JSONWriter.bytes(format: .plain, capacity: 512 + 2 * (raw?.count ?? 0) + 4 * (entry?.count ?? 0)) { writer in
            writer.beginObject()
            writer.field("position")
            writer.integer(position)
            writer.field("at")
            writer.milliseconds(at.microseconds)
            writer.field("input")
            writer.string(input)
            writer.field("reason")
            writer.string(reason)
            if let event {
                writer.field("event")
                writer.raw(event.text.utf8)
            }
            if let raw {
                if let text = String(validating: raw, as: UTF8.self) {
                    writer.field("raw")
                    writer.string(text)
                } else {
                    writer.field("raw_base64")
                    writer.byteString(raw)
                }
            }
            if let entry {
                writer.field("entry")
                writer.byteString(entry)
            }
            writer.endObject()
        }
    }
}

extension ReportedEvent {
    /// In the form in which the daemon takes events; without an id, which a row does not hold.
    fileprivate var json: JSON {
        var members: [JSON.Member] = [
            .init(key: "type", value: .string(type)), .init(key: "severity", value: .string(severity.rawValue)),
            .init(key: "timestamp", value: .number(occurredAt.milliseconds)), .init(key: "source", value: .string(source)),
        ]
        if let userID { members.append(.init(key: "userId", value: .string(userID.description))) }
        if let ip { members.append(.init(key: "ip", value: .string(ip.description))) }
        members.append(.init(key: "details", value: .string(details)))
        if let context {
            let object = try? JSON(parsing: context.utf8)
            members.append(.init(key: "context", value: object ?? .string(context)))
        }
        return .object(members)
    }
}
