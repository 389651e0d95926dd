import Domain
import NIOCore
import Store

/// What the worker that holds the slot says to the other workers of its machine. They say nothing to it.
///
/// On the socket a frame is the length of what follows (4 bytes), its kind (1 byte) and its content; integers are in network
/// byte order. Only a worker that would greet with the same text understands the rest.
enum RelayFrame: Equatable, Sendable {
    /// The first frame: the format, and the database whose commits follow.
    case greeting(String)
    /// From here on every commit follows. Those before, and with them all up to `position`, do not.
    case connected(upTo: LogPosition)
    /// As in `FeedEvent`.
    case commits([Commit], upTo: LogPosition)
    /// Nothing has happened, and the sender is there.
    case alive

    /// No frame is longer, or the sender has been given something else to read.
    static let maximumBytes = 8 << 20

    /// With a commit that touches more than this, all topics of the tables that it touches are said to be: the same is run, and
    /// more.
    static let maximumTopics = 10_000

    static func greeting(of origin: FeedOrigin) -> RelayFrame {
        .greeting("\(format)\n\(origin.description)")
    }

    /// The version of the frames' layout, to be counted up with every change, and what the numbers for tables and keys mean,
    /// which changes by itself.
    private static let format = "attune feed 1:" + FeedTable.allCases.map { table in
        " \(table.rawValue)(\(table.keys.map(\.rawValue).joined(separator: ",")))"
    }.joined()

    fileprivate enum Kind: UInt8 {
        case greeting, connected, commits, alive
    }
}

/// Bytes that no worker sends.
struct MalformedFrame: Error, CustomStringConvertible {
    var description: String { "malformed frame from the worker that holds the slot" }
}

extension ByteBuffer {
    /// Appends the frame as it goes over the socket.
    mutating func writeRelayFrame(_ frame: RelayFrame) {
        let start = writerIndex
        writeInteger(UInt32(0))
        switch frame {
        case .greeting(let text):
            writeInteger(RelayFrame.Kind.greeting.rawValue)
            writeString(text)
        case .connected(let position):
            writeInteger(RelayFrame.Kind.connected.rawValue)
            writeInteger(position.rawValue)
        case .commits(let commits, let position):
            writeInteger(RelayFrame.Kind.commits.rawValue)
            writeInteger(position.rawValue)
            writeInteger(UInt32(commits.count))
            for commit in commits { writeCommit(commit) }
        case .alive:
            writeInteger(RelayFrame.Kind.alive.rawValue)
        }
        setInteger(UInt32(writerIndex - start - MemoryLayout<UInt32>.size), at: start)
    }

    private mutating func writeCommit(_ commit: Commit) {
        var topics = commit.topics
        var wholeTables = commit.wholeTables
        if topics.count > RelayFrame.maximumTopics {
            wholeTables.formUnion(topics.map(\.table))
            topics = []
        }
        writeInteger(commit.transactionID)
        writeInteger(commit.position.rawValue)
        writeInteger(UInt8(wholeTables.count))
        for table in wholeTables { writeInteger(table.number) }
        writeInteger(UInt32(topics.count))
        for topic in topics {
            writeInteger(topic.table.number)
            // 0: the whole table.
            guard let key = topic.key, let index = topic.table.keys.firstIndex(of: key) else {
                writeInteger(UInt8(0))
                continue
            }
            writeInteger(UInt8(index + 1))
            writeUUID(topic.value)
        }
        writeInteger(UInt32(commit.requests.count))
        for request in commit.requests {
            writeUUID(request.sessionID)
            writeInteger(request.requestID)
        }
    }

    private mutating func writeUUID(_ value: UUIDBits) {
        writeInteger(value.high)
        writeInteger(value.low)
    }

    /// Takes the first frame off; nil if it is not complete yet.
    mutating func readRelayFrame() throws(MalformedFrame) -> RelayFrame? {
        guard let length = getInteger(at: readerIndex, as: UInt32.self) else { return nil }
        guard length <= RelayFrame.maximumBytes else { throw MalformedFrame() }
        guard readableBytes >= MemoryLayout<UInt32>.size + Int(length) else { return nil }
        moveReaderIndex(forwardBy: MemoryLayout<UInt32>.size)
        guard var content = readSlice(length: Int(length)) else { throw MalformedFrame() }
        let frame = try content.readRelayFrameContent()
        guard content.readableBytes == 0 else { throw MalformedFrame() }
        return frame
    }

    private mutating func readRelayFrameContent() throws(MalformedFrame) -> RelayFrame {
        switch RelayFrame.Kind(rawValue: try readNumber()) {
        case .greeting:
            return .greeting(readString(length: readableBytes) ?? "")
        case .connected:
            return .connected(upTo: LogPosition(try readNumber()))
        case .commits:
            let position = LogPosition(try readNumber())
            var commits: [Commit] = []
            // Counts are not believed: what is not there ends the loop.
            for _ in 0..<(try readNumber() as UInt32) { commits.append(try readCommit()) }
            return .commits(commits, upTo: position)
        case .alive:
            return .alive
        case nil:
            throw MalformedFrame()
        }
    }

    private mutating func readCommit() throws(MalformedFrame) -> Commit {
        let transactionID: UInt32 = try readNumber()
        let position = LogPosition(try readNumber())
        var wholeTables: Set<FeedTable> = []
        for _ in 0..<(try readNumber() as UInt8) { wholeTables.insert(try readTable()) }
        var topics: Set<Topic> = []
        for _ in 0..<(try readNumber() as UInt32) {
            let table = try readTable()
            let key: UInt8 = try readNumber()
            if key == 0 {
                topics.insert(.all(of: table))
            } else {
                guard Int(key) <= table.keys.count else { throw MalformedFrame() }
                topics.insert(Topic(table, table.keys[Int(key) - 1], try readUUID()))
            }
        }
        var requests: [MutationRequest] = []
        for _ in 0..<(try readNumber() as UInt32) {
            requests.append(MutationRequest(sessionID: try readUUID(), requestID: try readNumber()))
        }
        return Commit(
            transactionID: transactionID, position: position, topics: topics, wholeTables: wholeTables, requests: requests)
    }

    private mutating func readTable() throws(MalformedFrame) -> FeedTable {
        let number: UInt8 = try readNumber()
        guard Int(number) < FeedTable.allCases.count else { throw MalformedFrame() }
        return FeedTable.allCases[Int(number)]
    }

    private mutating func readUUID() throws(MalformedFrame) -> UUIDBits {
        UUIDBits(high: try readNumber(), low: try readNumber())
    }

    private mutating func readNumber<Number: FixedWidthInteger>() throws(MalformedFrame) -> Number {
        guard let number = readInteger(as: Number.self) else { throw MalformedFrame() }
        return number
    }
}

extension FeedTable {
    fileprivate var number: UInt8 { UInt8(FeedTable.allCases.firstIndex(of: self)!) }
}

/// Takes a stream of bytes apart into frames.
struct RelayFrameDecoder: NIOSingleStepByteToMessageDecoder {
    typealias InboundOut = RelayFrame

    func decode(buffer: inout ByteBuffer) throws -> RelayFrame? {
        try buffer.readRelayFrame()
    }

    /// Half a frame at the end is what a dying worker leaves behind.
    func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> RelayFrame? {
        try buffer.readRelayFrame()
    }
}
