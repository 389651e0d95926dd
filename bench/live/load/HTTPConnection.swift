import NIOCore

/// One connection that calls `messages:send`, one call at a time.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let load: Load
    private var context: ChannelHandlerContext?
    private var received = ByteBuffer()
    private var index: Int?

    init(load: Load) {
        self.load = load
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        load.isFree(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        load.ended(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func send(_ content: String, as account: Account, index: Int) {
        self.index = index
        let body = #"{"path":"messages:send","args":{"content":"\#(content)","recipientId":"\#(account.recipientID)"}}"#
        let request = """
            POST /api/mutation HTTP/1.1\r
            Host: 127.0.0.1\r
            Authorization: Bearer \(account.token)\r
            Content-Type: application/json\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """
        context?.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        guard let headLength = endOfHead(received) else { return }
        let head = received.getString(at: received.readerIndex, length: headLength)!.lowercased()
        guard let field = head.firstRange(of: "content-length: "),
            let length = Int(head[field.upperBound...].prefix { $0.isNumber })
        else { return load.fail("an answer without a length: \(head)") }
        guard received.readableBytes >= headLength + length else { return }
        received.moveReaderIndex(forwardBy: headLength)
        let body = received.readString(length: length)!
        received.discardReadBytes()
        guard head.hasPrefix("http/1.1 200"), body.contains(#""status":"success""#), let index else {
            return load.fail("a send was refused: \(body)")
        }
        self.index = nil
        load.answered(index)
        load.isFree(self)
    }
}
