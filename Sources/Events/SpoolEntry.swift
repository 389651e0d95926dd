import Domain

/// What a spool's record of ours says. Its bytes are described in docs/ingest.md.
public enum SpoolEntry: Equatable, Sendable {
    /// An event to be stored. `row` is what `EventRow` makes; `key` is the event's, if its reporter named it.
    case event(input: Input, key: UUIDBits?, row: ArraySlice<UInt8>)
    /// A report that could not become an event, to be kept as a dead letter. `raw` are its first bytes as they came in.
    case rejected(input: Input, at: Instant, reason: String, raw: ArraySlice<UInt8>)
    /// So many reports were known already when they came in.
    case duplicates(input: Input, count: UInt32)

    /// How many bytes of a rejected report are kept.
    public static let maximumRawLength = 64 * 1024

    private enum Kind: UInt8 {
        case event = 1
        case rejected
        case duplicates
    }

    /// Appends the record of an event.
    ///
    /// - Parameters:
    ///   - key: the event's `key`, or nil if it is not to be compared with others.
    ///   - bytes: stays as it was when this throws.
    /// - Throws: if the event breaks a limit of `ReportedEvent.fit()`; the caller then appends it as rejected.
    public static func append(
        _ event: ReportedEvent, key: UUIDBits?, input: Input, to bytes: inout [UInt8]
    ) throws(EventRejection) {
        var event = event
        try event.fit()
        begin(.event, input, &bytes)
        bytes.append(key ?? .lowest)
        EventRow.append(event, key: key, to: &bytes)
    }

    /// Appends the record of a report that could not become an event.
    public static func appendRejected(
        input: Input, at moment: Instant, rejection: EventRejection, raw: some Collection<UInt8>, to bytes: inout [UInt8]
    ) {
        begin(.rejected, input, &bytes)
        bytes.appendBigEndian(moment.microseconds)
        let reason = rejection.reason.utf8.prefix(Int(UInt16.max))
        bytes.appendBigEndian(UInt16(reason.count))
        bytes.append(contentsOf: reason)
        bytes.append(contentsOf: raw.prefix(maximumRawLength))
    }

    /// Appends the record of so many known reports.
    public static func appendDuplicates(_ count: UInt32, input: Input, to bytes: inout [UInt8]) {
        begin(.duplicates, input, &bytes)
        bytes.appendBigEndian(count)
    }

    private static func begin(_ kind: Kind, _ input: Input, _ bytes: inout [UInt8]) {
        bytes.append(kind.rawValue)
        bytes.append(input.rawValue)
    }

    /// Reads a record's bytes. A row is not looked into: `EventRow.decode` does that.
    public init(decoding record: ArraySlice<UInt8>) throws(SpoolEntryError) {
        var rest = record
        guard let first = rest.popFirst(), let kind = Kind(rawValue: first) else { throw SpoolEntryError("unknown kind") }
        guard let second = rest.popFirst(), let input = Input(rawValue: second) else { throw SpoolEntryError("unknown input") }
        switch kind {
        case .event:
            guard let key = rest.takeUUID() else { throw SpoolEntryError("an event without a key") }
            self = .event(input: input, key: key == .lowest ? nil : key, row: rest)
        case .rejected:
            guard let moment = rest.takeBigEndian(Int64.self), let length = rest.takeBigEndian(UInt16.self),
                let reason = rest.take(Int(length))
            else { throw SpoolEntryError("a rejected report that is cut off") }
            self = .rejected(
                input: input, at: Instant(microseconds: moment), reason: String(decoding: reason, as: UTF8.self), raw: rest)
        case .duplicates:
            guard let count = rest.takeBigEndian(UInt32.self), rest.isEmpty else {
                throw SpoolEntryError("a count of the wrong length")
            }
            self = .duplicates(input: input, count: count)
        }
    }
}

/// A record is none of ours.
public struct SpoolEntryError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
