import Crypto
import Domain
import Wire

/// `paginationOpts` as stock hooks send it (convex-protocol.md 5).
public struct PaginationOptions: ConvexDecodable, Sendable {
    /// How many rows a page has when it is first run.
    public var itemCount: Int
    public var cursor: String?
    /// The page's last row, when the client knows it: then the page is the whole range, however many rows that is.
    public var endCursor: String?

    public static let maximumItemCount = 1000
    /// For callers who leave `paginationOpts` out.
    public static let standard = PaginationOptions(itemCount: 50)

    public init(itemCount: Int, cursor: String? = nil, endCursor: String? = nil) {
        self.itemCount = itemCount
        self.cursor = cursor
        self.endCursor = endCursor
    }

    public static let validator = Validator.object([
        .init("numItems", .number),
        .init("cursor", .union([.string, .null])),
        .init("id", .number, isOptional: true),
        .init("endCursor", .union([.string, .null]), isOptional: true),
        .init("maximumRowsRead", .number, isOptional: true),
        .init("maximumBytesRead", .number, isOptional: true),
    ])

    public static func decode(_ value: ConvexValue, at path: String) throws(ValidationFailure) -> PaginationOptions {
        let fields = try ObjectReader(value, at: path, validator: validator)
        let number: Double = try fields.required("numItems")
        func refusal(_ sentence: String) -> ValidationFailure {
            .rule(sentence, at: "\(path).numItems", value: .float64(number), validator: .number)
        }
        guard number != 0 else { throw refusal("NoDocumentsForPagination: `numItems` must be at least 1.") }
        guard let count = Int(exactly: number), (1...maximumItemCount).contains(count) else {
            throw refusal("`numItems` must be a whole number from 1 to \(maximumItemCount).")
        }
        // These make a page's arguments distinct, or bound what Convex's own storage would read; here a page is bounded anyway.
        let _: Double? = try fields.optional("id")
        let _: Double? = try fields.optional("maximumRowsRead")
        let _: Double? = try fields.optional("maximumBytesRead")
        return PaginationOptions(
            itemCount: count, cursor: try fields.nullable("cursor"), endCursor: try fields.nullable("endCursor"))
    }
}

/// What a list is ordered by, and where a row stands in it.
public struct ListKey: Hashable, Sendable {
    /// What the list is ordered by first; nil in a list that is ordered by id alone.
    public let moment: Instant?
    public let id: UUIDBits

    public init(_ id: UUIDBits) {
        moment = nil
        self.id = id
    }

    public init(_ moment: Instant, _ id: UUIDBits) {
        self.moment = moment
        self.id = id
    }
}

/// A place in a list.
public enum ListPosition: Hashable, Sendable {
    /// Behind the row with this key.
    case after(ListKey)
    /// Behind the last row, however many there will be.
    case end
}

/// The part of a list that a page shows: rows after `start`, up to and including the row at `end`.
///
/// The first run of a page fixes its end; every later run covers the same range and may give more or fewer rows. That is
/// what keeps adjacent pages gapless while rows come and go.
public struct PageRange: Sendable {
    /// Nil: from the beginning of the list.
    public let start: ListPosition?
    /// Nil: not fixed yet; the page ends after `limit` rows.
    public let end: ListPosition?
    let itemCount: Int

    /// No page has more rows than this; a range that holds more is cut and says `SplitRequired`.
    static let maximumRows = 4000

    /// How many rows to ask the database for: one more than the page takes, to see whether more follow.
    public var limit: Int { (end == nil ? itemCount : Self.maximumRows) + 1 }

    /// Only rows with keys below this, in a list that runs from high keys to low ones; nil: no such bound.
    public var below: ListKey? { if case .after(let key) = start { key } else { nil } }
    /// Only rows with at least this key, in a list that runs from high keys to low ones; nil: no such bound.
    public var atLeast: ListKey? { if case .after(let key) = end { key } else { nil } }
    /// The page begins at the end of the list, where there is nothing by definition.
    public var isEmpty: Bool { start == .end }

    /// The same in this process for pages of one list that begin at the same place.
    func hash(in list: String) -> Int {
        var hasher = Hasher()
        hasher.combine(list)
        hasher.combine(start)
        return hasher.finalize()
    }
}

/// One page of a list: PaginatedResult.
public struct Page<Element: ConvexEncodable>: ConvexEncodable {
    public let elements: [Element]
    public let isDone: Bool
    /// Always a string, also when done (convex-protocol.md 5).
    public let continueCursor: String
    public let splitCursor: String?
    public let status: Status?

    public enum Status: String, Sendable {
        case splitRecommended = "SplitRecommended"
        case splitRequired = "SplitRequired"
    }

    public static var validator: Validator {
        .object([
            .init("page", .array(Element.validator)),
            .init("isDone", .boolean),
            .init("continueCursor", .string),
            .init("splitCursor", .union([.string, .null]), isOptional: true),
            .init("pageStatus", .union([.literal("SplitRecommended"), .literal("SplitRequired"), .null]), isOptional: true),
        ])
    }

    public func encode(into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("page")
        elements.encode(into: &writer)
        writer.key("isDone")
        writer.bool(isDone)
        writer.key("continueCursor")
        writer.string(continueCursor)
        if let splitCursor {
            writer.key("splitCursor")
            writer.string(splitCursor)
        }
        if let status {
            writer.key("pageStatus")
            writer.string(status.rawValue)
        }
        writer.endObject()
    }

    /// Makes the page of `rows`, which the database gave for `range`: at most `range.limit`, in list order.
    init(rows: [(key: ListKey, element: Element)], range: PageRange, cursors: CursorCoder, list: String) {
        let capacity = range.limit - 1
        let hasMore = rows.count > capacity
        let shown = hasMore ? rows[..<capacity] : rows[...]
        let end: ListPosition
        if hasMore, let last = shown.last {
            end = .after(last.key)
        } else {
            end = range.end ?? .end
        }
        elements = shown.map(\.element)
        isDone = end == .end
        continueCursor = cursors.encode(end, list: list)
        // Clients split a page that has grown to twice its size, so only a page that has grown needs the place.
        splitCursor =
            shown.count > max(2, range.itemCount) ? cursors.encode(.after(shown[shown.count / 2].key), list: list) : nil
        if hasMore, range.end != nil {
            status = .splitRequired
        } else {
            status = shown.count > PageRange.maximumRows * 3 / 4 ? .splitRecommended : nil
        }
    }
}

/// Writes and reads cursors: opaque, bound to one list, and refused if anybody has tampered with them.
///
/// A cursor is the position (a tag and, for a row, its key) and the first 16 bytes of an HMAC-SHA256 over the position and
/// the list's name, in URL-safe base64.
public struct CursorCoder: Sendable {
    /// With the key's part of the work done.
    private let keyed: HMAC<SHA256>

    public init(secret: [UInt8]) {
        keyed = HMAC<SHA256>(key: SymmetricKey(data: secret))
    }

    func encode(_ position: ListPosition, list: String) -> String {
        let payload = Self.payload(of: position)
        return String(decoding: Base64.encodeURLSafe(payload + code(for: payload, list: list)), as: UTF8.self)
    }

    /// Throws APIError in the form that makes stock hooks start over.
    func decode(_ cursor: String, list: String) throws -> ListPosition {
        let (position, isOfList) = try read(cursor, list: list)
        guard isOfList else { throw APIError.invalidCursor }
        return position
    }

    /// The end that a page was given in its first run; nil if that was a page of another list.
    func decode(journal: String, list: String) throws -> ListPosition? {
        let (position, isOfList) = try read(journal, list: list)
        return isOfList ? position : nil
    }

    private func read(_ cursor: String, list: String) throws -> (ListPosition, isOfList: Bool) {
        guard cursor.utf8.count <= 64, let bytes = Base64.decodeURLSafe(cursor), bytes.count > 16 else { throw APIError.invalidCursor }
        let payload = Array(bytes.dropLast(16))
        let isOfList = Self.isEqual(Array(bytes.suffix(16)), code(for: payload, list: list))
        switch (payload.first, payload.count) {
        case (0, 1): return (.end, isOfList)
        case (1, 17):
            return (.after(ListKey(id(in: payload, at: 1))), isOfList)
        case (2, 25):
            let moment = Instant(microseconds: Int64(bitPattern: word(in: payload, at: 1)))
            return (.after(ListKey(moment, id(in: payload, at: 9))), isOfList)
        default: throw APIError.invalidCursor
        }
    }

    private static func payload(of position: ListPosition) -> [UInt8] {
        switch position {
        case .end: return [0]
        case .after(let key):
            var payload: [UInt8] = [key.moment == nil ? 1 : 2]
            let moment = key.moment.map { [UInt64(bitPattern: $0.microseconds)] } ?? []
            for word in moment + [key.id.high, key.id.low] {
                withUnsafeBytes(of: word.bigEndian) { payload.append(contentsOf: $0) }
            }
            return payload
        }
    }

    private func id(in payload: [UInt8], at offset: Int) -> UUIDBits {
        UUIDBits(high: word(in: payload, at: offset), low: word(in: payload, at: offset + 8))
    }

    private func word(in payload: [UInt8], at offset: Int) -> UInt64 {
        payload.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }

    private func code(for payload: [UInt8], list: String) -> [UInt8] {
        var hmac = keyed
        hmac.update(data: payload)
        hmac.update(data: Array(list.utf8))
        return Array(hmac.finalize().prefix(16))
    }

    /// Takes the same time wherever the two differ.
    private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension APIError {
    static let invalidCursor = APIError(
        .validationError, "InvalidCursor: this cursor belongs to another list or has been changed. Start again from the first page.",
        details: ["path": ".paginationOpts.cursor"], paginationError: "InvalidCursor")
}
