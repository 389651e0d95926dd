import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOWebSocket

/// A connection as long as it speaks HTTP/1.1: request by request, until it ends or one of them turns it into a sync socket.
///
/// It does what Hummingbird's and NIO's own handlers do not: an upgrade on a connection that has served other requests, as
/// proxies ask for one; and, when the worker stops, an end that makes no request fail.
///
/// Requests that are no HTTP are answered with 400; one that breaks off gets no answer.
final class HTTPConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What the connection turns into. One `http` may come, and one `sync` at the end.
    enum Role: Sendable {
        /// Requests come here; if one of them opens a socket, the connection becomes that.
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>, then: EventLoopFuture<SyncConnection?>)
        case sync(SyncConnection)
        /// The client left before it had said anything, or said nothing that is HTTP.
        case none
    }

    private let readiness: Readiness
    private let limits: ConnectionLimits
    /// Takes room for a socket; false if there is none.
    private let admit: () -> Bool
    /// Gives the handlers of a socket, in the pipeline's order.
    private let makeSocket: (any Channel, HTTPRequestHead) -> (SyncConnection, [any ChannelHandler])
    private let role: EventLoopPromise<Role>
    private let socket: EventLoopPromise<SyncConnection?>

    private var speaksHTTP = false
    private var requestIsUnderWay = false
    /// More than one when a client sends requests without waiting for responses.
    private var responsesDue = 0
    /// The request that turns the connection into a socket, and the answer to it; the change waits for the request's end.
    private var upgrade: (request: HTTPRequestHead, answer: HTTPHeaders)?
    private var isBeingRefused = false

    /// The client knows, or will be told with the response, that this connection ends with it.
    private var isLastResponse = false
    /// A proxy uses the connection for many clients' requests, and may be about to send one.
    private var isProxied = false
    private var lastActive = NIODeadline.now()
    private var idleCheck: Scheduled<Void>?

    init(
        channel: any Channel, readiness: Readiness, limits: ConnectionLimits, admit: @escaping () -> Bool,
        makeSocket: @escaping (any Channel, HTTPRequestHead) -> (SyncConnection, [any ChannelHandler])
    ) {
        self.readiness = readiness
        self.limits = limits
        self.admit = admit
        self.makeSocket = makeSocket
        role = channel.eventLoop.makePromise()
        socket = channel.eventLoop.makePromise()
    }

    var futureRole: EventLoopFuture<Role> { role.futureResult }

    func handlerAdded(context: ChannelHandlerContext) {
        scheduleIdleCheck(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        role.succeed(.none)
        socket.succeed(nil)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActive = .now()
        let part = unwrapInboundIn(data)
        // What comes behind a refusal is of no interest.
        guard !isBeingRefused else { return }
        switch part {
        case .head(let head):
            requestIsUnderWay = true
            if head.headers.contains(name: "X-Forwarded-For") || head.headers.contains(name: "Forwarded") { isProxied = true }
            if let answer = upgradeAnswer(to: head, context) {
                upgrade = (head, answer)
                return
            }
            // The parser reads nothing behind a request that asks for some other protocol.
            if head.headers.contains(name: "Upgrade") { isLastResponse = true }
            responsesDue += 1
            if !speaksHTTP { speakHTTP(context) }
        case .body:
            if upgrade != nil { return }
        case .end:
            requestIsUnderWay = false
            if let upgrade { return becomeSocket(context, upgrade.request, upgrade.answer) }
        }
        context.fireChannelRead(data)
    }

    private func speakHTTP(_ context: ChannelHandlerContext) {
        speaksHTTP = true
        do {
            let pipeline = context.pipeline.syncOperations
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            let channel = try NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>(
                wrappingChannelSynchronously: context.channel, configuration: .init(isOutboundHalfClosureEnabled: true))
            role.succeed(.http(channel, then: socket.futureResult))
        } catch {
            context.close(promise: nil)
        }
    }

    // MARK: Responses

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where readiness.isDraining || isLastResponse:
            isLastResponse = true
            head.headers.replaceOrAdd(name: "Connection", value: "close")
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .head, .body:
            context.write(data, promise: promise)
        case .end:
            responsesDue -= 1
            lastActive = .now()
            guard isLastResponse || readiness.isDraining else { return context.write(data, promise: promise) }
            let written = promise ?? context.eventLoop.makePromise()
            context.writeAndFlush(data, promise: written)
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            written.futureResult.whenComplete { _ in
                let (handler, context) = bound.value
                // The worker may have begun to stop after the response's head was out.
                if handler.isLastResponse { context.close(promise: nil) } else { handler.closeIfIdle(context) }
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.fireErrorCaught(error) }
        if context.channel.isActive, !requestIsUnderWay, responsesDue == 0 {
            let head = HTTPResponseHead(
                version: .http1_1, status: .badRequest, headers: ["Connection": "close", "Content-Length": "0"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        context.close(promise: nil)
    }

    // MARK: Turning into a socket

    /// The headers of a 101 answer, if the request may have one: it asks for the sync socket, in words of RFC 6455.
    private func upgradeAnswer(to head: HTTPRequestHead, _ context: ChannelHandlerContext) -> HTTPHeaders? {
        guard responsesDue == 0, SyncHandshake(head) != nil, head.names("websocket", in: "Upgrade"),
            head.names("upgrade", in: "Connection")
        else { return nil }
        // Without waiting: the upgrader asks nobody, so its futures are there at once.
        let upgrader = NIOTypedWebSocketServerUpgrader<Void>(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        var answer: HTTPHeaders?
        upgrader.buildUpgradeResponse(channel: context.channel, upgradeRequest: head, initialResponseHeaders: [:])
            .assumeIsolated().whenSuccess { answer = $0 }
        return answer
    }

    private func becomeSocket(_ context: ChannelHandlerContext, _ request: HTTPRequestHead, _ answer: HTTPHeaders) {
        guard !readiness.isDraining, admit() else { return refuseSocket(context) }
        let pipeline = context.pipeline.syncOperations
        let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: answer)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        do {
            let (connection, handlers) = makeSocket(context.channel, request)
            // They come before what serves HTTP, which hears no more until the connection ends.
            try pipeline.addHandlers(handlers, position: .after(self))
            if speaksHTTP {
                pipeline.removeHandler(context: try pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self), promise: nil)
            }
            pipeline.removeHandler(context: try pipeline.context(handlerType: HTTPResponseEncoder.self), promise: nil)
            let parser = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            if speaksHTTP { socket.succeed(connection) } else { role.succeed(.sync(connection)) }
            pipeline.removeHandler(context: context, promise: nil)
            // The last one, for it passes on what it has read behind the request.
            pipeline.removeHandler(context: parser, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    /// A proxy asks the next worker; a client without one comes again in a second.
    private func refuseSocket(_ context: ChannelHandlerContext) {
        isBeingRefused = true
        isLastResponse = true
        responsesDue += 1
        let body = ByteBuffer(string: #"{"code":"TooManyConcurrentRequests","message":"This worker takes no more connections."}"#)
        let head = HTTPResponseHead(
            version: .http1_1, status: .serviceUnavailable,
            headers: ["Content-Type": "application/json", "Content-Length": "\(body.readableBytes)", "Connection": "close"])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        write(context: context, data: wrapOutboundOut(.end(nil)), promise: nil)
    }

    // MARK: The end

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            // The next response, or the one that is due, is the connection's last and says so. A connection without a request
            // ends when it has been idle so long that none can be on its way.
            if responsesDue == 0, !requestIsUnderWay { closeIfIdle(context) }
        case ChannelEvent.inputClosed where !speaksHTTP:
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    private var longestIdle: TimeAmount {
        guard readiness.isDraining else { return .seconds(120) }
        // A new connection's first request is on its way. Others than proxies send a request again that got no answer, as long
        // as the connection had been used before.
        if !speaksHTTP { return .seconds(1) }
        return isProxied ? TimeAmount(limits.proxyIdle) : .zero
    }

    private func closeIfIdle(_ context: ChannelHandlerContext) {
        if NIODeadline.now() - lastActive >= longestIdle { context.close(promise: nil) } else { scheduleIdleCheck(context) }
    }

    private func scheduleIdleCheck(_ context: ChannelHandlerContext) {
        idleCheck?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        idleCheck = context.eventLoop.scheduleTask(deadline: lastActive + longestIdle) {
            let (handler, context) = bound.value
            // Whoever waits for a response may be silent.
            if handler.responsesDue > 0, !handler.requestIsUnderWay { handler.lastActive = .now() }
            handler.closeIfIdle(context)
        }
    }
}

extension HTTPRequestHead {
    /// Whether a header with a list of words has this one.
    fileprivate func names(_ word: String, in header: String) -> Bool {
        headers[canonicalForm: header].contains { $0.lowercased() == word }
    }
}
