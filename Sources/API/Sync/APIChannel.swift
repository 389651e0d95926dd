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
                    channel.eventLoop.makeCompletedFuture { .sync(try becomeSyncSocket(channel, head)) }
                })
            let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Negotiated>(upgraders: [upgrader]) { channel in
                channel.eventLoop.makeCompletedFuture { .http(try becomeHTTP(channel, logger: logger)) }
            }
            let negotiated = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                configuration: .init(upgradeConfiguration: upgrade))
            return Value(channel: channel, negotiated: negotiated)
        }
    }

    private func becomeHTTP(
        _ channel: any Channel, logger: Logger
    ) throws -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
        try channel.pipeline.syncOperations.addHandler(BrokenRequestHandler())
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

/// Ends a connection whose request breaks off or turns out to be no HTTP.
///
/// NIO has answered by now if an answer was due. Passed on, the error would make Hummingbird answer once more, also after a
/// complete response, which NIO takes for a mistake of ours and, in debug builds, stops the program for.
private final class BrokenRequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError {
            context.close(promise: nil)
        } else {
            context.fireErrorCaught(error)
        }
    }
}
