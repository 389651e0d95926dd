import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// An HTTP/1.1 connection, which reads nothing until somebody looks after it.
///
/// Hummingbird's own makes a `NIOAsyncChannel` when it accepts, and one of those that is dropped, since the server ends before it
/// comes to it, ends the process.
struct HTTPConnection: HTTPChannelHandler {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    let responder: HTTPChannelHandler.Responder
    let limits: RequestLimits
    let connections: HTTPConnections

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.syncOptions?.setOption(.autoRead, value: false)
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false)
            try pipeline.addHandlers(
                HTTP1ToHTTPServerCodec(secure: false), ConnectionGuard(limits: limits, connections: connections),
                HTTPConnectionStateHandler(logger: logger))
            return Value(channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {
        let channel = value.channel
        let wrapped = try? await channel.eventLoop.submit {
            let wrapped = try NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
            try channel.syncOptions?.setOption(.autoRead, value: true)
            return wrapped
        }.get()
        guard let wrapped else { return channel.close(promise: nil) }
        await handleHTTP(asyncChannel: wrapped, logger: logger)
    }
}
