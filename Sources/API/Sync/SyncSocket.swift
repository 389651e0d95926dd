import Domain
import Live
import NIOCore
import NIOHTTP1
import NIOWebSocket
import Synchronization
import Wire

/// A socket's way out: frames from any thread, counted until the kernel has taken them.
final class SyncSocket: SyncOutbound {
    let channel: any Channel
    private let census: SocketCensus
    private let inbox: FrameInbox
    private let waitingFrames = Atomic(0)
    private let waitingBytes = Atomic(0)
    private let hasSentText = Atomic(false)
    private let hasSaidGoodbye = Atomic(false)

    /// - Parameter inbox: the same socket's; is told when a client that had fallen behind has caught up.
    init(channel: any Channel, census: SocketCensus, inbox: FrameInbox) {
        self.channel = channel
        self.census = census
        self.inbox = inbox
    }

    var limits: ConnectionLimits { census.limits }

    func farewellDelay() -> TimeAmount { census.farewellDelay() }

    var pendingFrames: Int { waitingFrames.load(ordering: .relaxed) }

    func send(_ text: [UInt8]) {
        // Nothing may follow a close frame.
        guard !hasSaidGoodbye.load(ordering: .relaxed) else { return }
        let count = text.count
        let alreadyWaiting = waitingBytes.add(count, ordering: .relaxed).oldValue
        let allHaveRoom = census.add(unread: count)
        guard alreadyWaiting < limits.unreadBytes, allHaveRoom || alreadyWaiting == 0 else {
            forget(bytes: count)
            return giveUp()
        }
        hasSentText.store(true, ordering: .relaxed)
        waitingFrames.add(1, ordering: .relaxed)
        let frame = WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(bytes: text))
        channel.writeAndFlush(frame).whenComplete { [self] _ in
            forget(bytes: count)
            // Two waiting frames are what holds Transitions back.
            if waitingFrames.subtract(1, ordering: .relaxed).oldValue == 2 { inbox.noteRoom() }
        }
    }

    private func forget(bytes: Int) {
        waitingBytes.subtract(bytes, ordering: .relaxed)
        census.subtract(unread: bytes)
    }

    /// The client reads too slowly: it costs nothing more from now on but what waits for it, and that for a short time.
    func giveUp() {
        close(.clientReadsTooSlowly)
        inbox.finish()
    }

    /// Whether no close frame was sent yet. One is all that a connection may have; the caller sends it now.
    func takesGoodbye() -> Bool { !hasSaidGoodbye.exchange(true, ordering: .relaxed) }

    /// Whether a text frame was sent since this was asked last.
    func takeHasSentText() -> Bool { hasSentText.exchange(false, ordering: .relaxed) }

    func close(_ reason: CloseReason) {
        guard takesGoodbye() else { return }
        var data = ByteBuffer()
        if let (code, text) = reason.words {
            data.writeInteger(code)
            data.writeString(text)
        }
        // The client answers it, or has had time to.
        channel.writeAndFlush(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)).whenComplete { [channel] _ in
            channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
        }
        // One that reads nothing does not even get so far.
        channel.eventLoop.scheduleTask(in: .seconds(10)) { [channel] in channel.close(promise: nil) }
    }
}

extension CloseReason {
    /// The close frame's code and reason; nil: none. JavaScript clients look at the reason's beginning to know when to come again:
    /// after one second, or after three where it means that there is too much to do (convex-protocol.md 3.10). They do not
    /// report code 1001 as an error.
    fileprivate var words: (code: UInt16, text: String)? {
        switch self {
        case .toldAlready: nil
        case .internalServerError: (1011, "InternalServerError")
        case .tooManyConcurrentMutations: (1013, "TooManyConcurrentMutations")
        case .tooManyConcurrentRequests: (1013, "TooManyConcurrentRequests")
        case .tooManyQueries: (1013, "SubscriptionsWorkerFullError")
        case .clientReadsTooSlowly: (1013, "ExpiredInQueue")
        case .workerStops: (1001, "WorkerStops")
        }
    }
}

/// The incoming half: puts text frames into the inbox, answers pings and closes, and watches over silence.
final class SyncSocketHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let socket: SyncSocket
    private let inbox: FrameInbox
    private var lastHeard = NIODeadline.now()
    private var watch: RepeatedTask?
    private var hasAnsweredClose = false
    private let readiness: Readiness
    private var isTakingLeave = false
    /// How much the client had not taken when it was last looked at, and since when it is so much.
    private var unread = (bytes: 0, since: NIODeadline.now())

    init(socket: SyncSocket, inbox: FrameInbox, readiness: Readiness) {
        self.socket = socket
        self.inbox = inbox
        self.readiness = readiness
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // JavaScript counts only messages as signs of life (60 s), Rust any frame (30 s): convex-protocol.md 3.11.
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let pingInterval = TimeAmount(socket.limits.pingInterval)
        watch = context.eventLoop.scheduleRepeatedTask(initialDelay: pingInterval, delay: pingInterval) { _ in
            let (handler, context) = bound.value
            handler.keepAlive(context)
        }
        if readiness.isDraining { takeLeave(context) }
    }

    private func keepAlive(_ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        guard now - lastHeard < TimeAmount(socket.limits.silence) else { return context.close(promise: nil) }
        guard takesSomething(context, now) else { return socket.giveUp() }
        // One ping more would not tell anything about a client that has not taken the last.
        guard unread.bytes == 0 else { return }
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())), promise: nil)
        if !socket.takeHasSentText() { socket.send(ServerMessage.ping) }
    }

    /// Whether the client reads what it is sent, or has not paused for long yet.
    private func takesSomething(_ context: ChannelHandlerContext, _ now: NIODeadline) -> Bool {
        let bytes = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        // More may have been added than was taken; then it is `unreadBytes` that ends it.
        if bytes == 0 || bytes != unread.bytes { unread = (bytes, now) }
        return now - unread.since < TimeAmount(socket.limits.readingPause)
    }

    /// The worker stops, and this socket's client has to go to another: when its turn has come, with the answers that it
    /// waits for. What it says from then on is not heard, and asked again elsewhere.
    private func takeLeave(_ context: ChannelHandlerContext) {
        guard !isTakingLeave else { return }
        isTakingLeave = true
        context.eventLoop.scheduleTask(in: socket.farewellDelay()) { [socket, inbox] in
            inbox.drain()
            // A client that does not read may never get its answers.
            socket.channel.eventLoop.scheduleTask(in: .seconds(8)) { socket.close(.workerStops) }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        lastHeard = .now()
        switch frame.opcode {
        case .text:
            guard !hasAnsweredClose else { return }
            let text = frame.unmaskedData
            if !inbox.append(Array(text.readableBytesView)) {
                context.channel.setOption(ChannelOptions.autoRead, value: false).whenFailure { _ in }
            }
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
        case .pong:
            break
        case .connectionClose:
            answerClose(frame, context)
        default:
            socket.close(.internalServerError)
            inbox.finish()
        }
    }

    private func answerClose(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        guard !hasAnsweredClose else { return }
        hasAnsweredClose = true
        inbox.finish()
        // The client's answer to ours.
        guard socket.takesGoodbye() else { return context.close(promise: nil) }
        var data = ByteBuffer()
        var received = frame.unmaskedData
        if let code = received.readWebSocketErrorCode() { data.write(webSocketErrorCode: code) }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)))
            .whenComplete { _ in bound.value.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        inbox.finish()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        watch?.cancel()
        inbox.finish()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            takeLeave(context)
        case ChannelEvent.inputClosed:
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Malformed and oversized frames among them; whoever sent them has to begin anew.
        context.close(promise: nil)
    }
}
