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
    private let pending = Atomic(0)
    private let hasSentText = Atomic(false)
    private let hasSaidGoodbye = Atomic(false)
    private let onRoom: @Sendable () -> Void

    /// - Parameter onRoom: called when a client that had fallen behind has caught up.
    init(channel: any Channel, onRoom: @escaping @Sendable () -> Void) {
        self.channel = channel
        self.onRoom = onRoom
    }

    var pendingFrames: Int { pending.load(ordering: .relaxed) }

    func send(_ text: [UInt8]) {
        hasSentText.store(true, ordering: .relaxed)
        pending.add(1, ordering: .relaxed)
        let frame = WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(bytes: text))
        channel.writeAndFlush(frame).whenComplete { [self] _ in
            // Two waiting frames are what holds Transitions back.
            if pending.subtract(1, ordering: .relaxed).oldValue == 2 { onRoom() }
        }
    }

    /// Whether no close frame was sent yet. One is all that a connection may have; the caller sends it now.
    func takesGoodbye() -> Bool { !hasSaidGoodbye.exchange(true, ordering: .relaxed) }

    /// Whether a text frame was sent since this was asked last.
    func takeHasSentText() -> Bool { hasSentText.exchange(false, ordering: .relaxed) }

    func close(_ reason: CloseReason) {
        switch reason {
        case .toldAlready: close(code: nil, reason: "")
        case .internalServerError: close(code: .unexpectedServerError, reason: "InternalServerError")
        case .tooManyConcurrentMutations: close(code: .init(codeNumber: 1013), reason: "TooManyConcurrentMutations")
        }
    }

    /// Says good-bye, and ends the connection when the client has answered or has had time to.
    func close(code: WebSocketErrorCode?, reason: String) {
        guard takesGoodbye() else { return }
        var data = ByteBuffer()
        if let code {
            data.write(webSocketErrorCode: code)
            data.writeString(reason)
        }
        channel.writeAndFlush(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)).whenComplete { [channel] _ in
            channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
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

    init(socket: SyncSocket, inbox: FrameInbox) {
        self.socket = socket
        self.inbox = inbox
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // JavaScript counts only messages as signs of life (60 s), Rust any frame (30 s): convex-protocol.md 3.11.
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        watch = context.eventLoop.scheduleRepeatedTask(initialDelay: .seconds(12), delay: .seconds(12)) { _ in
            let (handler, context) = bound.value
            handler.keepAlive(context)
        }
    }

    private func keepAlive(_ context: ChannelHandlerContext) {
        guard NIODeadline.now() - lastHeard < .seconds(120) else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())), promise: nil)
        if !socket.takeHasSentText(), socket.pendingFrames == 0 { socket.send(ServerMessage.ping) }
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
            // Stock clients come back at once, to another worker.
            socket.close(code: .goingAway, reason: "")
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
