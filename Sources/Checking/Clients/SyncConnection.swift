import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// One WebSocket to the proxy. Used on its event loop only.
final class SyncConnection: @unchecked Sendable {
    // Unchecked: touched on its event loop only.

    /// How the socket is asked for, which is how the server knows the client (convex-protocol.md 3.1).
    enum Handshake: Sendable {
        /// `/api/<version>/sync`.
        case javaScript(String)
        /// `/api/sync`, and the client's name in a header.
        case named(String)
    }

    enum Event {
        case text([UInt8])
        case ping
        /// The server's close frame.
        case closing(reason: String)
        case closed
    }

    /// The server answered the upgrade with something else.
    struct UpgradeRefused: Error {}

    private let channel: any Channel
    /// The worker behind the proxy, as the proxy names it: its address.
    let worker: String

    private init(channel: any Channel, worker: String) {
        self.channel = channel
        self.worker = worker
    }

    /// - Parameter receive: is called on the loop, beginning after the future is fulfilled.
    static func open(
        port: Int, _ handshake: Handshake, on loop: any EventLoop, receive: @escaping @Sendable (Event) -> Void
    ) -> EventLoopFuture<SyncConnection> {
        var headers: HTTPHeaders = ["Host": "127.0.0.1:\(port)"]
        let uri: String
        switch handshake {
        case .javaScript(let version): uri = "/api/\(version)/sync"
        case .named(let name):
            uri = "/api/sync"
            headers.add(name: "Convex-Client", value: name)
        }
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: headers)
        // Small, so that a client that does not read is felt by the server soon.
        let bootstrap = ClientBootstrap(group: loop).channelOption(.socketOption(.so_rcvbuf), value: 16 << 10)
        let promise = loop.makePromise(of: SyncConnection.self)
        // Ends with the connection's beginning, or when the promise is overdue.
        let attempt = Task {
            do {
                let upgrade = try await bootstrap.connect(host: "127.0.0.1", port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let upgrader = NIOTypedWebSocketClientUpgrader<SyncConnection?>(maxFrameSize: 1 << 27) { channel, response in
                            channel.eventLoop.makeCompletedFuture {
                                // Of several that the proxy has tried the last one took it.
                                let tried = response.headers.first(name: "Attune-Worker") ?? "?"
                                let worker = String(tried.split(separator: " ").last ?? "?")
                                try channel.pipeline.syncOperations.addHandler(Receiver(receive))
                                return SyncConnection(channel: channel, worker: worker)
                            }
                        }
                        let configuration = NIOTypedHTTPClientUpgradeConfiguration<SyncConnection?>(
                            upgradeRequestHead: head, upgraders: [upgrader]
                        ) { channel in
                            channel.close(promise: nil)
                            return channel.eventLoop.makeSucceededFuture(nil)
                        }
                        return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
                            configuration: .init(upgradeConfiguration: configuration))
                    }
                }
                guard let connection = try await upgrade.get() else { throw UpgradeRefused() }
                // Too late is as good as never.
                if Task.isCancelled { connection.cut() } else { promise.succeed(connection) }
            } catch {
                promise.fail(error)
            }
        }
        // Neither the proxy nor a worker that is stopped may keep us waiting.
        let overdue = loop.scheduleTask(in: .seconds(10)) {
            promise.fail(UpgradeRefused())
            attempt.cancel()
        }
        promise.futureResult.whenComplete { _ in overdue.cancel() }
        return promise.futureResult
    }

    func send(_ text: String) {
        let frame = WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: ByteBuffer(string: text))
        channel.writeAndFlush(frame, promise: nil)
    }

    /// Says good-bye as browsers do.
    func sendClose() {
        channel.writeAndFlush(
            WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: ByteBuffer(integer: UInt16(1000))), promise: nil)
    }

    /// Ends the connection without a word.
    func cut() { channel.close(promise: nil) }

    /// Stops and starts taking what the server sends, pings included.
    func setReads(_ reads: Bool) {
        channel.setOption(.autoRead, value: reads).whenSuccess { [channel] in if reads { channel.read() } }
    }

    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = WebSocketFrame
        typealias OutboundOut = WebSocketFrame

        private let receive: @Sendable (Event) -> Void
        private var message: [UInt8] = []

        init(_ receive: @escaping @Sendable (Event) -> Void) {
            self.receive = receive
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let frame = unwrapInboundIn(data)
            switch frame.opcode {
            case .text, .continuation:
                message.append(contentsOf: frame.unmaskedData.readableBytesView)
                guard frame.fin else { return }
                let text = message
                message = []
                receive(.text(text))
            case .ping:
                let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
                context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
                receive(.ping)
            case .connectionClose:
                var data = frame.unmaskedData
                _ = data.readInteger(as: UInt16.self)
                receive(.closing(reason: String(buffer: data)))
                context.writeAndFlush(
                    wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: ByteBuffer())), promise: nil)
                context.close(promise: nil)
            default:
                break
            }
        }

        func channelInactive(context: ChannelHandlerContext) { receive(.closed) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
