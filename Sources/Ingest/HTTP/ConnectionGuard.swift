import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Keeps one HTTP connection to its times, says `100 Continue` to those who wait for it, and ends the connection behind a
/// response that says so, when the rest of the request has come.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: RequestLimits
    private let connections: HTTPConnections
    private var id: HTTPConnections.ID?
    private var isReadingRequest = false
    private var responsesDue = 0
    private var isLastResponse = false
    private var deadline: Scheduled<Void>?

    init(limits: RequestLimits, connections: HTTPConnections) {
        self.limits = limits
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) {
        id = connections.add(context.channel)
        close(after: limits.firstHeader, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        if let id { connections.remove(id) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            if let id, responsesDue == 0 { connections.setIdle(false, id) }
            isReadingRequest = true
            responsesDue += 1
            close(after: limits.request, context)
            if head.headerFields[.expect]?.lowercased() == "100-continue" {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
        case .body:
            break
        case .end:
            isReadingRequest = false
            if responsesDue > 0 { deadline?.cancel() } else { settle(context) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            if head.headerFields[.connection] == "close" { isLastResponse = true }
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            let written = promise ?? context.eventLoop.makePromise()
            context.writeAndFlush(data, promise: written)
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            written.futureResult.whenComplete { _ in
                let (handler, context) = bound.value
                handler.responsesDue -= 1
                if handler.isReadingRequest {
                    handler.close(after: handler.limits.remainder, context)
                } else {
                    handler.settle(context)
                }
            }
        }
    }

    /// A request and its response are through.
    private func settle(_ context: ChannelHandlerContext) {
        guard responsesDue == 0 else { return }
        if isLastResponse { return context.close(promise: nil) }
        if let id { connections.setIdle(true, id) }
        close(after: limits.idle, context)
    }

    private func close(after time: Duration, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(time)) { bound.value.close(promise: nil) }
    }
}
