import Domain
import Events

/// Events on their way into the spool. They are taken all together or not at all.
public struct IntakeBatch: Sendable {
    struct Item {
        var input: Input
        /// Nil if it is not to be compared with others.
        var key: UUIDBits?
        var isRejected: Bool
        /// Where its record's bytes end.
        var end: Int
    }

    private(set) var items: [Item] = []
    /// The records, one behind the other.
    private(set) var bytes: [UInt8] = []

    public init() {}

    public var count: Int { items.count }
    public var isEmpty: Bool { items.isEmpty }
    /// What it will take on disk, about.
    public var byteCount: Int { bytes.count }

    /// Adds an event.
    ///
    /// - Throws: if the event breaks a limit that cannot be met by cutting; it was not added. The caller tells the sender, and
    ///   adds it as rejected.
    public mutating func add(_ event: ReportedEvent, input: Input) throws(EventRejection) {
        let key = event.key
        try SpoolEntry.append(event, key: key, input: input, to: &bytes)
        items.append(Item(input: input, key: key, isRejected: false, end: bytes.count))
    }

    /// Adds a report that could not become an event. It ends as a dead letter.
    ///
    /// - Parameter raw: as it came in. The first 64 KiB are kept.
    public mutating func addRejected(
        _ raw: some Collection<UInt8>, _ rejection: EventRejection, input: Input, at moment: Instant = .now()
    ) {
        SpoolEntry.appendRejected(input: input, at: moment, rejection: rejection, raw: raw, to: &bytes)
        items.append(Item(input: input, key: nil, isRejected: true, end: bytes.count))
    }

    /// Adds the record of an event that was in a spool before.
    mutating func add(record: ArraySlice<UInt8>, input: Input, key: UUIDBits?) {
        bytes.append(contentsOf: record)
        items.append(Item(input: input, key: key, isRejected: false, end: bytes.count))
    }
}
