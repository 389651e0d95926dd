import Domain
import Postgres
import Store

/// Turns the messages of a replication stream into commits: PostgreSQL's manual, 55.4 (stream) and 55.9 (pgoutput).
struct CommitDecoder {
    enum Event {
        case commit(Commit)
        /// The server has sent all commits up to this position.
        case keepalive(LogPosition, wantsReply: Bool)
        case partOfTransaction
    }

    /// A message that pgoutput does not send.
    struct Malformed: Error, CustomStringConvertible {
        var description: String { "malformed replication message" }
    }

    private struct Relation {
        let table: FeedTable?
        /// What each column is to us, in the table's order.
        let columns: [Column]
    }

    private enum Column {
        case key(FeedKey)
        /// The two halves of a socket request's name, in `mutation_requests`.
        case requestSession
        case requestNumber
        case other
    }

    private var relations: [UInt32: Relation] = [:]

    // The transaction that is being received.
    private var transactionID: UInt32 = 0
    private var topics: Set<Topic> = []
    private var wholeTables: Set<FeedTable> = []
    private var requests: [MutationRequest] = []

    /// The prefix of messages by which bulk writers name the tables that they have written to, separated by commas.
    static let messagePrefix = "attune.topics"

    /// Whether the message makes something known: the end of a transaction, or how far the server has come.
    static func completes(_ message: [UInt8]) -> Bool {
        switch message.first {
        case UInt8(ascii: "w"): message.count > 25 && message[25] == UInt8(ascii: "C")
        default: true
        }
    }

    /// - Parameter message: the body of one CopyData.
    mutating func decode(_ message: [UInt8]) throws -> Event {
        var reader = Reader(message[...])
        switch try reader.byte() {
        case UInt8(ascii: "k"):
            let position = LogPosition(try reader.integer())
            let _: Int64 = try reader.integer()
            return .keepalive(position, wantsReply: try reader.byte() != 0)
        case UInt8(ascii: "w"):
            // Where it stands in the log, and the server's clock.
            try reader.skip(24)
            return try decodeChange(&reader)
        default:
            throw Malformed()
        }
    }

    private mutating func decodeChange(_ reader: inout Reader) throws -> Event {
        switch try reader.byte() {
        case UInt8(ascii: "B"):
            try reader.skip(16)
            transactionID = try reader.integer()
            (topics, wholeTables, requests) = ([], [], [])
        case UInt8(ascii: "C"):
            try reader.skip(9)
            let end = LogPosition(try reader.integer())
            return .commit(
                Commit(transactionID: transactionID, position: end, topics: topics, wholeTables: wholeTables, requests: requests))
        case UInt8(ascii: "R"):
            try decodeRelation(&reader)
        case UInt8(ascii: "I"):
            try decodeRow(of: try reader.integer(), &reader)
        case UInt8(ascii: "U"), UInt8(ascii: "D"):
            // The old row's key, if it changed or the row is gone, then the new row.
            let relation: UInt32 = try reader.integer()
            while !reader.isAtEnd { try decodeRow(of: relation, &reader) }
        case UInt8(ascii: "T"):
            let count: Int32 = try reader.integer()
            try reader.skip(1)
            for _ in 0..<max(0, count) {
                if let table = relations[try reader.integer()]?.table { wholeTables.insert(table) }
            }
        case UInt8(ascii: "M"):
            try decodeMessage(&reader)
        default:
            // Origins and types do not matter here.
            break
        }
        return .partOfTransaction
    }

    private mutating func decodeRelation(_ reader: inout Reader) throws {
        let id: UInt32 = try reader.integer()
        _ = try reader.string()
        let name = try reader.string()
        try reader.skip(1)
        let count: Int16 = try reader.integer()
        let table = FeedTable(rawValue: name)
        var columns: [Column] = []
        for _ in 0..<max(0, count) {
            try reader.skip(1)
            let column = try reader.string()
            try reader.skip(8)
            switch (name, column) {
            case ("mutation_requests", "session_id"): columns.append(.requestSession)
            case ("mutation_requests", "request_id"): columns.append(.requestNumber)
            default: columns.append(table?.keys.first { $0.rawValue == column }.map(Column.key) ?? .other)
            }
        }
        relations[id] = Relation(table: table, columns: columns)
    }

    private mutating func decodeRow(of relationID: UInt32, _ reader: inout Reader) throws {
        guard let relation = relations[relationID] else { throw Malformed() }
        if let table = relation.table { topics.insert(.all(of: table)) }
        var requestSession: UUIDBits?
        var requestNumber: UInt32?
        // 'N' new, 'K' old key, 'O' old row: all of them are touched.
        let isOldKey = try reader.byte() == UInt8(ascii: "K")
        var keyCount = 0
        let count: Int16 = try reader.integer()
        for index in 0..<Int(max(0, count)) {
            switch try reader.byte() {
            case UInt8(ascii: "b"):
                let length: Int32 = try reader.integer()
                var value = Reader(try reader.bytes(Int(length)))
                switch index < relation.columns.count ? relation.columns[index] : .other {
                case .key(let key):
                    #if DEBUG
                    if Sabotage.invalidation.isOn, key == .recipientID {
                        keyCount += 1
                        break
                    }
                    #endif
                    if let table = relation.table, length == 16 { topics.insert(Topic(table, key, try value.uuid())) }
                    keyCount += 1
                case .requestSession: requestSession = try value.uuid()
                case .requestNumber: requestNumber = UInt32(exactly: try value.integer() as Int64)
                case .other: break
                }
            case UInt8(ascii: "t"):
                let length: Int32 = try reader.integer()
                try reader.skip(Int(length))
            default:
                // NULL, or a large value that did not change.
                break
            }
        }
        // A deleted row tells no more than its replica identity. Whose it was is not known, so it may be anybody's.
        if isOldKey, let table = relation.table, keyCount < table.keys.count { wholeTables.insert(table) }
        if let requestSession, let requestNumber {
            requests.append(MutationRequest(sessionID: requestSession, requestID: requestNumber))
        }
    }

    private mutating func decodeMessage(_ reader: inout Reader) throws {
        try reader.skip(9)
        guard try reader.string() == Self.messagePrefix else { return }
        let length: Int32 = try reader.integer()
        let names = String(decoding: try reader.bytes(Int(length)), as: UTF8.self)
        for name in names.split(separator: ",") {
            if let table = FeedTable(rawValue: String(name)) { wholeTables.insert(table) }
        }
    }
}

/// Takes a message apart from the front.
private struct Reader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func bytes(_ count: Int) throws -> ArraySlice<UInt8> {
        guard count >= 0, rest.count >= count else { throw CommitDecoder.Malformed() }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func skip(_ count: Int) throws { _ = try bytes(count) }

    mutating func byte() throws -> UInt8 { try bytes(1).first! }

    /// In network byte order.
    mutating func integer<Integer: FixedWidthInteger>() throws -> Integer {
        try bytes(MemoryLayout<Integer>.size).withUnsafeBytes { $0.loadBigEndian() }
    }

    mutating func uuid() throws -> UUIDBits { UUIDBits(high: try integer(), low: try integer()) }

    /// Up to a zero byte.
    mutating func string() throws -> String {
        guard let end = rest.firstIndex(of: 0) else { throw CommitDecoder.Malformed() }
        defer { rest = rest[(end + 1)...] }
        return String(decoding: rest[..<end], as: UTF8.self)
    }
}
