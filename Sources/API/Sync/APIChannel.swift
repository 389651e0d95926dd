import Domain
import Hummingbird
import HummingbirdCore
import Live
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOWebSocket

/// One connection of the API worker: HTTP, which may turn into a sync socket.
struct APIChannel: ServerChildChannel, HTTPChannelHandler {
    let responder: HTTPChannelHandler.Responder
    let live: LiveQueries
    let addresses: ClientAddressResolver

    /// A connection that has not said yet what it will be.
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let negotiated: EventLoopFuture<Negotiated>
    }

    enum Negotiated: Sendable {
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
        case sync(SyncConnection)
    }

    struct SyncConnection: Sendable {
        let socket: SyncSocket
        let inbox: FrameInbox
        let kind: ClientKind
        let clientAddress: IPAddress
    }

    /// The largest message of a client: a query set of some thousand queries with large arguments.
    private static let maximumMessageBytes = 8 << 20

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let upgrader = NIOTypedWebSocketServerUpgrader<Negotiated>(
                maxFrameSize: Self.maximumMessageBytes,
                shouldUpgrade: { channel, head in
                    channel.eventLoop.makeSucceededFuture(SyncHandshake(head) == nil ? nil : [:])
                },
                upgradePipelineHandler: { channel, head in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        pipeline.removeHandler(context: try pipeline.context(handlerType: BrokenRequestHandler.self), promise: nil)
                        return .sync(try becomeSyncSocket(channel, head))
                    }
                })
            let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Negotiated>(upgraders: [upgrader]) { channel in
                channel.eventLoop.makeCompletedFuture { .http(try becomeHTTP(channel, logger: logger)) }
            }
            var configuration = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
            configuration.enableErrorHandling = false
            let negotiated = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(configuration: configuration)
            try channel.pipeline.syncOperations.addHandler(BrokenRequestHandler())
            return Value(channel: channel, negotiated: negotiated)
        }
    }

    private func becomeHTTP(
        _ channel: any Channel, logger: Logger
    ) throws -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
        try channel.pipeline.syncOperations.addHandler(HTTPConnectionStateHandler(idleTimeout: .seconds(120), logger: logger))
        return try NIOAsyncChannel(wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    }

    private func becomeSyncSocket(_ channel: any Channel, _ head: HTTPRequestHead) throws -> SyncConnection {
        let socket = SyncSocket(channel: channel) { [live] in live.outboundHasRoom() }
        let inbox = FrameInbox {
            channel.setOption(ChannelOptions.autoRead, value: true).whenSuccess { channel.read() }
        }
        try channel.pipeline.syncOperations.addHandler(
            NIOWebSocketFrameAggregator(
                minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 4096, maxAccumulatedFrameSize: Self.maximumMessageBytes))
        try channel.pipeline.syncOperations.addHandler(SyncSocketHandler(socket: socket, inbox: inbox))
        let clientAddress = addresses.clientAddress(
            peer: channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) }, forwardedFor: head.headers["X-Forwarded-For"])
        // `shouldUpgrade` has read the same head.
        let kind = SyncHandshake(head)?.kind ?? ClientKind(knowsChunks: false, recoversFromAuthError: false, comparesTimestamps: false)
        return SyncConnection(socket: socket, inbox: inbox, kind: kind, clientAddress: clientAddress)
    }

    func handle(value: Value, logger: Logger) async {
        switch try? await value.negotiated.get() {
        case .http(let channel):
            await handleHTTP(asyncChannel: channel, logger: logger)
        case .sync(let connection):
            await live.serve(
                connection.inbox, outbound: connection.socket, kind: connection.kind, clientAddress: connection.clientAddress)
            try? await value.channel.closeFuture.get()
        case nil:
            // The client left before it had said anything, or said nothing that is HTTP.
            value.channel.close(promise: nil)
        }
    }
}

/// Answers what is no HTTP with 400, and ends the connection; a request that breaks off gets no answer.
///
/// In place of NIO's own handler, which also answers requests that have been answered, and connections that are closed: in
/// debug builds that stops the program.
private final class BrokenRequestHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var requestIsUnderWay = false
    private var responseIsDue = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: (requestIsUnderWay, responseIsDue) = (true, true)
        case .body: break
        case .end: requestIsUnderWay = false
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { responseIsDue = false }
        context.write(data, promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.fireErrorCaught(error) }
        if context.channel.isActive, !requestIsUnderWay, !responseIsDue {
            let head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: ["Connection": "close", "Content-Length": "0"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        context.close(promise: nil)
    }
}
