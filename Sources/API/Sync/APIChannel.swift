import Domain
import Hummingbird
import HummingbirdCore
import Live
import Logging
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// One connection of the API worker: HTTP, which may turn into a sync socket.
struct APIChannel: ServerChildChannel, HTTPChannelHandler {
    let responder: HTTPChannelHandler.Responder
    let live: LiveQueries
    let addresses: ClientAddressResolver
    let readiness: Readiness
    let census: SocketCensus

    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let role: EventLoopFuture<HTTPConnectionHandler.Role>
    }

    /// The largest message of a client: a query set of some thousand queries with large arguments.
    private static let maximumMessageBytes = 8 << 20

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let handler = HTTPConnectionHandler(
                channel: channel, readiness: readiness, limits: census.limits, admit: census.enter, makeSocket: makeSocket)
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(HTTPResponseEncoder())
            try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes)))
            try pipeline.addHandler(handler)
            return Value(channel: channel, role: handler.futureRole)
        }
    }

    /// The handlers of a socket for which `census` has made room, in the pipeline's order.
    private func makeSocket(_ channel: any Channel, _ head: HTTPRequestHead) -> (SyncConnection, [any ChannelHandler]) {
        channel.closeFuture.whenComplete { [census] _ in census.leave() }
        // A channel keeps its read buffer, and idle clients send little but pongs.
        try? channel.syncOptions?.setOption(
            .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 512, maximum: 65536))
        let inbox = FrameInbox {
            channel.setOption(ChannelOptions.autoRead, value: true).whenSuccess { channel.read() }
        }
        let socket = SyncSocket(channel: channel, census: census, inbox: inbox)
        let clientAddress = addresses.clientAddress(
            peer: channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) }, forwardedFor: head.headers["X-Forwarded-For"])
        // The request was found to be a handshake before.
        let kind =
            SyncHandshake(head)?.kind
            ?? ClientKind(knowsChunks: false, recoversFromAuthError: false, comparesTimestamps: false)
        let handlers: [any ChannelHandler] = [
            WebSocketFrameEncoder(),
            ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: Self.maximumMessageBytes)),
            WebSocketProtocolErrorHandler(),
            NIOWebSocketFrameAggregator(
                minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 4096, maxAccumulatedFrameSize: Self.maximumMessageBytes),
            SyncSocketHandler(socket: socket, inbox: inbox, readiness: readiness),
        ]
        return (SyncConnection(socket: socket, inbox: inbox, kind: kind, clientAddress: clientAddress), handlers)
    }

    func handle(value: Value, logger: Logger) async {
        await withTaskCancellationHandler {
            switch try? await value.role.get() {
            case .http(let channel, let socket):
                await withDiscardingTaskGroup { group in
                    // It ends with the connection, whatever becomes of that.
                    group.addTask { await handleHTTP(asyncChannel: channel, logger: logger) }
                    if let connection = try? await socket.get() { serve(connection) }
                }
            case .sync(let connection):
                serve(connection)
            case .some(.none), nil:
                value.channel.close(promise: nil)
            }
        } onCancel: {
            // The worker's time to stop is over.
            value.channel.close(promise: nil)
        }
    }

    /// Sockets are served without a task that waits; `SocketCensus` knows when they have gone.
    private func serve(_ connection: SyncConnection) {
        live.serve(
            connection.inbox, outbound: connection.socket, kind: connection.kind, clientAddress: connection.clientAddress)
    }
}

/// A connection that has become a sync socket.
struct SyncConnection: Sendable {
    let socket: SyncSocket
    let inbox: FrameInbox
    let kind: ClientKind
    let clientAddress: IPAddress
}
