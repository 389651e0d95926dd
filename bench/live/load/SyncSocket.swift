import DequeModule
import Foundation
import NIOCore

/// A client of the sync protocol that costs next to nothing, since it shares the machine with what it measures: it watches
/// one query and looks for markers in what comes, without parsing it.
final class SyncSocket: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let number: Int
    let account: Account
    private let load: Load
    private var context: ChannelHandlerContext?
    private var received = ByteBuffer()
    private var isUpgraded = false
    private var isReady = false
    private var mutations = 0
    /// The sends whose answers are due, in the order in which they come.
    private var waiting: Deque<Int> = []

    init(number: Int, account: Account, load: Load) {
        self.number = number
        self.account = account
        self.load = load
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        let request = """
            GET /api/1.45.0/sync HTTP/1.1\r
            Host: 127.0.0.1\r
            Connection: Upgrade\r
            Upgrade: websocket\r
            Sec-WebSocket-Version: 13\r
            Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r
            \r

            """
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        load.ended(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: Sending

    private func subscribe() {
        var messages = [
            #"{"type":"Connect","sessionId":"\#(UUID().uuidString.lowercased())","connectionCount":0,"# +
                #""lastCloseReason":null,"clientTs":0}"#
        ]
        if !account.token.isEmpty {
            messages.append(#"{"type":"Authenticate","baseVersion":0,"tokenType":"User","value":"\#(account.token)"}"#)
        }
        messages.append(
            #"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add","queryId":0,"# +
                #""udfPath":"\#(account.query)","args":[\#(account.arguments)]}]}"#)
        for message in messages { write(.text, ByteBuffer(string: message)) }
        context?.flush()
    }

    /// Sends a message to the other member of the conversation.
    func send(_ content: String, index: Int) {
        waiting.append(index)
        let message =
            #"{"type":"Mutation","requestId":\#(mutations),"udfPath":"messages:send","args":[{"content":"\#(content)","# +
            #""recipientId":"\#(account.recipientID)"}]}"#
        mutations += 1
        write(.text, ByteBuffer(string: message))
        context?.flush()
    }

    private enum Opcode: UInt8 {
        case text = 1
        case close = 8
        case ping = 9
        case pong = 10
    }

    private func write(_ opcode: Opcode, _ payload: ByteBuffer) {
        guard let context else { return }
        var frame = context.channel.allocator.buffer(capacity: payload.readableBytes + 14)
        frame.writeInteger(0x80 | opcode.rawValue)
        switch payload.readableBytes {
        case ..<126: frame.writeInteger(0x80 | UInt8(payload.readableBytes))
        case ..<65536: frame.writeMultipleIntegers(UInt8(0xFE), UInt16(payload.readableBytes))
        default: frame.writeMultipleIntegers(UInt8(0xFF), UInt64(payload.readableBytes))
        }
        // Clients have to mask; the mask zero leaves the bytes as they are.
        frame.writeInteger(UInt32(0))
        frame.writeImmutableBuffer(payload)
        context.write(wrapOutboundOut(frame), promise: nil)
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if received.readableBytes == 0 { received = bytes } else { received.writeBuffer(&bytes) }
        if !isUpgraded {
            guard let end = endOfHead(received) else { return }
            guard received.readString(length: end)!.hasPrefix("HTTP/1.1 101") else { return load.fail("a socket was refused") }
            isUpgraded = true
            subscribe()
        }
        while takeFrame() {}
        if received.readableBytes == 0 { received = ByteBuffer() }
    }

    private func takeFrame() -> Bool {
        let start = received.readerIndex
        guard let (first, short) = received.getMultipleIntegers(at: start, as: (UInt8, UInt8).self) else { return false }
        let header: Int
        let length: Int
        switch short {
        case 126:
            guard let long = received.getInteger(at: start + 2, as: UInt16.self) else { return false }
            (header, length) = (4, Int(long))
        case 127:
            guard let long = received.getInteger(at: start + 2, as: UInt64.self) else { return false }
            (header, length) = (10, Int(long))
        default:
            (header, length) = (2, Int(short))
        }
        guard received.readableBytes >= header + length else { return false }
        received.moveReaderIndex(forwardBy: header)
        let payload = received.readSlice(length: length)!
        switch Opcode(rawValue: first & 0x0F) {
        case .text: payload.withUnsafeReadableBytes(takeText)
        case .ping:
            write(.pong, payload)
            context?.flush()
        case .close: context?.close(promise: nil)
        default: break
        }
        return true
    }

    private func takeText(_ text: UnsafeRawBufferPointer) {
        if text.starts(with: #"{"type":"Transition""#.utf8) {
            load.count(text.count)
            if isReady {
                Marker.forEach(in: text) { load.shown($0, to: self) }
            } else if text.firstOffset(of: #""QueryUpdated""#) != nil {
                isReady = true
                load.ready(self)
            } else if text.firstOffset(of: #""QueryFailed""#) != nil {
                load.fail(String(decoding: text, as: UTF8.self))
            }
        } else if text.starts(with: #"{"type":"MutationResponse""#.utf8) {
            guard text.firstOffset(of: #""success":true"#) != nil, let index = waiting.popFirst() else {
                return load.fail(String(decoding: text, as: UTF8.self))
            }
            load.answered(index)
        } else if !text.starts(with: #"{"type":"Ping""#.utf8) {
            load.fail(String(decoding: text, as: UTF8.self))
        }
    }
}

/// How many bytes the head of an HTTP message has; nil while it is not complete.
func endOfHead(_ buffer: ByteBuffer) -> Int? {
    buffer.withUnsafeReadableBytes { bytes in bytes.firstOffset(of: "\r\n\r\n").map { $0 + 4 } }
}
