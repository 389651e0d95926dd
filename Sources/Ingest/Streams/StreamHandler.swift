import Delivery
import Domain
import Events
import NIOCore
import Wire

/// One connection of a stream input.
///
/// Each read's messages go into a batch; while a batch is on its way to the disk the next one gathers. Nothing more is read while
/// too much of the connection, or of all connections together, is not durable, so that the sender has to wait.
final class StreamHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var format: any StreamFormat
    private let flow: BatchFlow
    private let maximumWaitingBytes: Int
    private let budget: ByteBudget
    /// Called once, when the connection is closed and all it had sent is dealt with.
    var whenGone: () -> Void = {}
    private var context: ChannelHandlerContext?

    /// What of the budget is ours.
    private var heldBytes = 0
    /// The pipeline wants to read, and has to wait.
    private var readIsDue = false
    private var budgetCheck: Scheduled<Void>?
    /// When the connection began to wait for others to give memory back.
    private var hungrySince: NIODeadline?
    private var hasSentMessages = false
    private var entriesDurable = 0
    /// What the sender has been told; below zero: nothing yet.
    private var entriesAcknowledged = -1
    /// No more is read; the connection is closed when all that was read is durable.
    private var end: EndOfConversation?
    private var inputIsClosed = false
    private var isClosing = false
    private var isGone = false
    private var hasLeft = false

    /// - Parameter maximumWaitingBytes: with so much that is not durable, the sender has to wait.
    init(format: any StreamFormat, flow: BatchFlow, maximumWaitingBytes: Int, budget: ByteBudget) {
        self.format = format
        self.flow = flow
        self.maximumWaitingBytes = maximumWaitingBytes
        self.budget = budget
    }

    // MARK: What comes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard end == nil else { return }
        let now = Instant.now()
        do {
            try unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
                try format.take(bytes, receivedAt: now, into: &flow.gathering)
            }
        } catch {
            end = error as? EndOfConversation ?? EndOfConversation()
        }
        settle()
    }

    func channelReadComplete(context: ChannelHandlerContext) { proceed(context) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            inputIsClosed = true
            if isClosing { return context.close(promise: nil) }
            finish(EndOfConversation())
            proceed(context)
        case IdleStateHandler.IdleStateEvent.read where isSilent:
            finish(EndOfConversation(notice: "nothing has come for too long"))
            proceed(context)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// A sender that has sent whole messages before may take its time until the next one: whoever writes to a connection that the
    /// other side has closed does not notice, and loses what it wrote.
    private var isSilent: Bool { flow.isEmpty && !readIsDue && (!hasSentMessages || format.unfinishedBytes > 0) }

    func channelInactive(context: ChannelHandlerContext) {
        finish(EndOfConversation())
        isGone = true
        proceed(context)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        isGone = true
        leaveIfDone()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// The daemon stops: what has been read is made durable and acknowledged. Half a line comes again from whoever gets
    /// acknowledgements, and of others it is all there will be.
    func stop() {
        guard let context else { return }
        let stop = EndOfConversation(notice: "the daemon stops")
        if format.acknowledges { end = end ?? stop } else { finish(stop) }
        proceed(context)
    }

    private func finish(_ end: EndOfConversation) {
        guard self.end == nil else { return }
        format.finish(receivedAt: .now(), into: &flow.gathering)
        self.end = end
        settle()
    }

    // MARK: What becomes of it

    /// Everything that can be done now. Called whenever something has happened.
    private func proceed(_ context: ChannelHandlerContext) {
        hasSentMessages = hasSentMessages || !flow.gathering.isEmpty
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        flow.flush { outcome in
            let (handler, context) = bound.value
            handler.settle()
            switch outcome {
            case .success(let count):
                handler.entriesDurable += count
                handler.proceed(context)
            case .failure:
                handler.fail(context)
            }
        }
        if isGone { return leaveIfDone() }
        acknowledge(context)
        if let end, flow.isEmpty {
            close(context, notice: end.notice)
        } else if readIsDue {
            read(context: context)
        }
    }

    /// What was read cannot be kept, and will not be acknowledged.
    private func fail(_ context: ChannelHandlerContext) {
        end = end ?? EndOfConversation()
        flow.gathering = IntakeBatch()
        settle()
        if isGone { leaveIfDone() } else { close(context, notice: "events cannot be kept now") }
    }

    private func leaveIfDone() {
        guard flow.isEmpty, !hasLeft else { return }
        hasLeft = true
        budgetCheck?.cancel()
        budget.give(heldBytes)
        heldBytes = 0
        whenGone()
    }

    // MARK: What goes out

    /// Tells how many of the sender's lines are durable, unless it leaves unread what it is told: the next number says as much.
    private func acknowledge(_ context: ChannelHandlerContext) {
        guard format.acknowledges, entriesDurable > entriesAcknowledged, context.channel.isWritable else { return }
        entriesAcknowledged = entriesDurable
        write(.object([.init(key: "accepted", value: .number(Double(entriesDurable)))]), context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !isGone { acknowledge(context) }
        context.fireChannelWritabilityChanged()
    }

    /// Closes so that the sender gets what it was told last: if there is something unread when a connection is closed, the kernel
    /// resets it. So what still comes is read and thrown away for a moment.
    private func close(_ context: ChannelHandlerContext, notice: String?) {
        guard !isClosing else { return }
        isClosing = true
        if let notice, format.isConversation { write(.object([.init(key: "error", value: .string(notice))]), context) }
        guard !inputIsClosed else { return context.close(promise: nil) }
        context.close(mode: .output, promise: nil)
        if readIsDue { read(context: context) }
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.longestFarewell) { channel.close(promise: nil) }
    }

    private func write(_ line: JSON, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line.text + "\n")), promise: nil)
    }

    // MARK: Making the sender wait

    func read(context: ChannelHandlerContext) {
        readIsDue = !mayRead(context)
        if !readIsDue { context.read() }
    }

    private func mayRead(_ context: ChannelHandlerContext) -> Bool {
        if isClosing { return true }
        guard end == nil, flow.waitingBytes < maximumWaitingBytes else { return false }
        guard budget.hasRoom else {
            waitForMemory(context)
            return false
        }
        hungrySince = nil
        return true
    }

    /// All connections together hold too much. Looks again in a moment; gives up where this one could be what the others wait for.
    private func waitForMemory(_ context: ChannelHandlerContext) {
        let since = hungrySince ?? .now()
        hungrySince = since
        if flow.isEmpty, format.unfinishedBytes > 0, NIODeadline.now() - since > Self.longestHunger {
            finish(EndOfConversation(notice: "too many unfinished lines are held"))
            return proceed(context)
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        budgetCheck?.cancel()
        budgetCheck = context.eventLoop.scheduleTask(in: Self.budgetCheckInterval) {
            let (handler, context) = bound.value
            if handler.readIsDue, !handler.isGone { handler.read(context: context) }
        }
    }

    /// Takes from the budget what has been read, and gives back what is durable.
    private func settle() {
        let bytes = flow.waitingBytes + format.unfinishedBytes
        // What has been read is there, room or not: `mayRead` looks before.
        if bytes > heldBytes { budget.takeRegardless(bytes - heldBytes) } else { budget.give(heldBytes - bytes) }
        heldBytes = bytes
    }

    private static let budgetCheckInterval = TimeAmount.milliseconds(50)
    private static let longestHunger = TimeAmount.seconds(10)
    private static let longestFarewell = TimeAmount.seconds(1)
}
