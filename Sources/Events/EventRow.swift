import Domain
import Wire

/// An event as a row of `security_events`: the fields of one tuple of PostgreSQL's binary COPY format, without the number of
/// fields in front. Whoever copies writes that (`BinaryCopy.appendFieldCount`), and may put fields of its own before these.
public enum EventRow {
    /// The columns of the fields, in their order, for `COPY security_events (…) FROM STDIN (FORMAT binary)`.
    public static let columns = "id, occurred_at, type, severity, user_id, ip, metadata"
    public static let columnCount = 7

    /// Appends the row of an event that fits the limits (`ReportedEvent.fit()`).
    ///
    /// The row's id is a UUIDv7 of the moment at which the event occurred. Its other bits are the key's, so that all reports of
    /// an event make the same row; without a key they are random.
    public static func append(_ event: ReportedEvent, key: UUIDBits?, to bytes: inout [UInt8]) {
        let occurredAt = Timestamp.storable(event.occurredAt)
        BinaryCopy.appendField(id(occurredAt: occurredAt, key: key), to: &bytes)
        bytes.appendBigEndian(Int32(8))
        bytes.appendBigEndian(occurredAt.microseconds - Timestamp.epochOffset)
        BinaryCopy.appendField(event.type, to: &bytes)
        BinaryCopy.appendField(event.severity.rawValue, to: &bytes)
        if let userID = event.userID { BinaryCopy.appendField(userID.uuid, to: &bytes) } else { BinaryCopy.appendNull(to: &bytes) }
        if let ip = event.ip {
            BinaryCopy.appendField(to: &bytes) { INET.append(ip, to: &$0) }
        } else {
            BinaryCopy.appendNull(to: &bytes)
        }
        BinaryCopy.appendField(to: &bytes) {
            JSONB.append(details: event.details, source: event.source, context: event.context, to: &$0)
        }
    }

    private static func id(occurredAt: Instant, key: UUIDBits?) -> UUIDBits {
        let milliseconds = max(0, occurredAt.microseconds / 1_000)
        guard let key else { return .v7(milliseconds: milliseconds) }
        return UUIDBits(
            high: UInt64(milliseconds) << 16 | 0x7000 | key.high & 0x0FFF,
            low: 0x8000_0000_0000_0000 | key.low & 0x3FFF_FFFF_FFFF_FFFF)
    }

    /// Reads what `append` wrote. The event has no `id`: a row does not hold it.
    public static func decode(_ row: ArraySlice<UInt8>) throws(EventRowError) -> (id: SecurityEventID, event: ReportedEvent) {
        var rest = row
        func field() throws(EventRowError) -> ArraySlice<UInt8>? {
            guard let length = rest.takeBigEndian(Int32.self) else { throw EventRowError("the row is cut off") }
            if length == -1 { return nil }
            guard let bytes = rest.take(Int(length)) else { throw EventRowError("the row is cut off") }
            return bytes
        }
        guard var id = try field(), let uuid = id.takeUUID() else { throw EventRowError("no id") }
        guard var moment = try field(), let microseconds = moment.takeBigEndian(Int64.self) else { throw EventRowError("no time") }
        guard let type = try field() else { throw EventRowError("no type") }
        guard let name = try field(), let severity = Severity(rawValue: String(decoding: name, as: UTF8.self)) else {
            throw EventRowError("no severity")
        }
        var user = try field()
        var address = try field()
        guard var metadata = try field(), let parts = JSONB.take(from: &metadata) else { throw EventRowError("no metadata") }
        let event = ReportedEvent(
            source: parts.source, occurredAt: Instant(microseconds: microseconds + Timestamp.epochOffset),
            type: String(decoding: type, as: UTF8.self), severity: severity,
            userID: user?.takeUUID().map { UserID($0) }, ip: address.flatMap { _ in INET.take(from: &address!) },
            details: parts.details, context: parts.context)
        return (SecurityEventID(uuid), event)
    }
}

/// A row is not one that `EventRow.append` wrote.
public struct EventRowError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// PostgreSQL's `timestamptz`: microseconds since 2000-01-01.
enum Timestamp {
    static let epochOffset: Int64 = 946_684_800_000_000

    /// The years 1 to 9999, which PostgreSQL, JavaScript and RFC 3339 all know.
    static let range = Instant(microseconds: -62_135_596_800_000_000)...Instant(microseconds: 253_402_300_799_999_999)

    static func storable(_ moment: Instant) -> Instant { min(max(moment, range.lowerBound), range.upperBound) }
}

/// PostgreSQL's `inet`: family, length of the prefix in bits, whether it is a `cidr`, number of bytes, the bytes.
private enum INET {
    private static let ipv4: UInt8 = 2
    private static let ipv6: UInt8 = 3

    static func append(_ address: IPAddress, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: address.isIPv4 ? [ipv4, 32, 0, 4] : [ipv6, 128, 0, 16])
        address.writeNetworkBytes(to: &bytes)
    }

    static func take(from bytes: inout ArraySlice<UInt8>) -> IPAddress? {
        guard bytes.take(4) != nil else { return nil }
        return IPAddress(networkBytes: bytes)
    }
}

/// PostgreSQL's `jsonb`: a version and a JSON text.
private enum JSONB {
    private static let version: UInt8 = 1

    static func append(details: String, source: String, context: String?, to bytes: inout [UInt8]) {
        bytes.append(version)
        var writer = JSONWriter(capacity: details.utf8.count + source.utf8.count + (context?.utf8.count ?? 0) + 64)
        writer.beginObject()
        writer.field("details")
        writer.string(details)
        if !source.isEmpty {
            writer.field("source")
            writer.string(source)
        }
        if let context {
            writer.field("context")
            writer.string(context)
        }
        writer.endObject()
        bytes.append(contentsOf: writer.bytes)
    }

    static func take(from bytes: inout ArraySlice<UInt8>) -> (details: String, source: String, context: String?)? {
        guard bytes.popFirst() == version, let json = try? JSON(parsing: bytes), let details = json["details"]?.stringValue else {
            return nil
        }
        return (details, json["source"]?.stringValue ?? "", json["context"]?.stringValue)
    }
}
