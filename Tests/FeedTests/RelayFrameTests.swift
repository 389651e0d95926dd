import Domain
import NIOCore
import Store
import Testing

@testable import Feed

@Suite("What the holder of a slot sends")
struct RelayFrameTests {
    private static let commit = Commit(
        transactionID: 4_000_000_001, position: LogPosition(0x16_B374_D848),
        topics: [
            .all(of: .users), .all(of: .securityEvents), Topic(.users, .id, UUIDBits(high: 1, low: .max)),
            Topic(.messages, .recipientID, .highest), Topic(.conversations, .highUserID, .lowest),
        ],
        wholeTables: [.sessions, .messages], requests: [MutationRequest(sessionID: UUIDBits(high: 5, low: 6), requestID: .max)])

    private static let frames: [RelayFrame] = [
        .greeting(of: FeedOrigin(systemIdentifier: .max, databaseID: 5, serverStart: "1763846132.123456")),
        .connected(upTo: LogPosition(7)), .commits([], upTo: .zero),
        .commits([commit, Commit(transactionID: 0, position: .zero, topics: [])], upTo: LogPosition(.max)), .alive,
    ]

    @Test("comes out as it went in, also in pieces")
    func roundTrip() throws {
        var sent = ByteBuffer()
        for frame in Self.frames { sent.writeRelayFrame(frame) }
        var whole = sent
        for frame in Self.frames { #expect(try whole.readRelayFrame() == frame) }
        #expect(try whole.readRelayFrame() == nil)

        var received = ByteBuffer()
        var frames: [RelayFrame] = []
        for byte in sent.readableBytesView {
            received.writeInteger(byte)
            while let frame = try received.readRelayFrame() { frames.append(frame) }
        }
        #expect(frames == Self.frames)
    }

    @Test("every cut and every changed byte is a frame or an error")
    func brokenBytes() throws {
        for frame in Self.frames {
            var bytes = ByteBuffer()
            bytes.writeRelayFrame(frame)
            for length in 0..<bytes.readableBytes {
                var cut = bytes.getSlice(at: 0, length: length)!
                #expect(try cut.readRelayFrame() == nil)
                for change in [UInt8(0x01), 0x80, 0xFF] {
                    var changed = bytes
                    changed.setInteger(changed.getInteger(at: length, as: UInt8.self)! ^ change, at: length)
                    _ = try? changed.readRelayFrame()
                }
            }
        }
    }

    @Test("a frame that is too long, of an unknown kind, or longer than its content is refused", arguments: [
        [0x00, 0x80, 0x00, 0x01], [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0], [0, 0, 0, 1, 99], [0, 0, 0, 2, 3, 0],
        [0, 0, 0, 13, 2] + Array(repeating: 0, count: 8) + [0xFF, 0xFF, 0xFF, 0xFF],
    ] as [[UInt8]])
    func refused(bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        #expect(throws: MalformedFrame.self) { try buffer.readRelayFrame() }
    }

    @Test("a commit with very many topics becomes one that touches whole tables")
    func manyTopics() throws {
        let topics = (0...UInt64(RelayFrame.maximumTopics)).map { Topic(.messages, .conversationID, UUIDBits(high: 0, low: $0)) }
        let commit = Commit(transactionID: 1, position: LogPosition(2), topics: Set(topics), wholeTables: [.users])
        var buffer = ByteBuffer()
        buffer.writeRelayFrame(.commits([commit], upTo: LogPosition(2)))
        let expected = Commit(transactionID: 1, position: LogPosition(2), topics: [], wholeTables: [.users, .messages])
        #expect(try buffer.readRelayFrame() == .commits([expected], upTo: LogPosition(2)))
    }
}
