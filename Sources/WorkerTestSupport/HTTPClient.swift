import NIOCore
import NIOHTTP1
import NIOPosix
import Wire

/// An HTTP answer as a test looks at it.
public struct HTTPAnswer: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    public let body: [UInt8]

    public var text: String { String(decoding: body, as: UTF8.self) }
    /// The body; nil when it is not JSON.
    public var json: JSON? { try? JSON(parsing: body) }
    /// The value of a function that succeeded.
    public var value: JSON? { json?["value"] }
    /// `code` of the ApiError of a function that failed.
    public var errorCode: String? { json?["errorData"]?["code"]?.stringValue }
}

/// One request on a connection of its own.
enum HTTPClient {
    static func request(
        _ method: HTTPMethod, _ uri: String, headers: HTTPHeaders, body: [UInt8], host: String, port: Int
    ) async throws -> HTTPAnswer {
        let promise = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: HTTPAnswer.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(AnswerCollector(promise))
                    }
                }
                .connect(host: host, port: port).get()
        } catch {
            promise.fail(error)
            return try await promise.futureResult.get()
        }
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers)
        head.headers.add(name: "Host", value: "\(host):\(port)")
        head.headers.add(name: "Connection", value: "close")
        if method != .GET { head.headers.add(name: "Content-Length", value: "\(body.count)") }
        // A server that refuses the request may close before it has read all of it: what counts is its answer.
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if !body.isEmpty { channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil) }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        let overdue = channel.eventLoop.scheduleTask(in: .seconds(60)) { promise.fail(NoAnswer()) }
        defer {
            overdue.cancel()
            channel.close(promise: nil)
        }
        return try await promise.futureResult.get()
    }

    /// The server closed the connection, or took a minute.
    struct NoAnswer: Error {}
}

private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<HTTPAnswer>
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []

    init(_ promise: EventLoopPromise<HTTPAnswer>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let part): body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            promise.succeed(HTTPAnswer(status: Int(head.status.code), headers: head.headers, body: body))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(HTTPClient.NoAnswer())
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
}
