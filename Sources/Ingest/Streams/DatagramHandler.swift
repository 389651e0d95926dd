import Delivery
import Domain
import Events
import Metrics
import NIOCore

/// The socket of the UDP input.
final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let reader: SyslogReader
    private let flow: BatchFlow
    private let maximumWaitingBytes: Int
    /// Called once, when the socket is closed and all that had come is dealt with.
    var whenGone: () -> Void = {}

    /// The last sender, and its address as text: messages come in runs.
    private var lastSender: (address: SocketAddress, text: String)?
    /// Messages that are lost and not reported yet.
    private var lost = 0
    private var dropsOfKernel: UInt32 = 0
    private var dropsCheck: RepeatedTask?
    private var isGone = false

    private static let droppedByUs = Counter(label: "attune_ingest_datagrams_lost_total", dimensions: [("where", "daemon")])
    private static let droppedByKernel = Counter(label: "attune_ingest_datagrams_lost_total", dimensions: [("where", "kernel")])

    /// - Parameter maximumWaitingBytes: with so much that is not durable, what comes is dropped.
    init(reader: SyslogReader, flow: BatchFlow, maximumWaitingBytes: Int) {
        self.reader = reader
        self.flow = flow
        self.maximumWaitingBytes = maximumWaitingBytes
        // On the page from the start: Prometheus does not see the beginning of a counter as a change.
        _ = (Self.droppedByUs, Self.droppedByKernel)
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        dropsCheck = context.eventLoop.scheduleRepeatedTask(initialDelay: Self.dropsInterval, delay: Self.dropsInterval) { _ in
            let (handler, context) = bound.value
            handler.checkDrops(context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let datagram = unwrapInboundIn(data)
        guard flow.waitingBytes < maximumWaitingBytes else { return lose(1, Self.droppedByUs) }
        let sender = text(of: datagram.remoteAddress)
        datagram.data.withUnsafeReadableBytes { bytes in
            let message = bytes.droppingLineEnds()
            guard !message.isEmpty else { return }
            reader.put(.message(message), from: sender, receivedAt: .now(), into: &flow.gathering)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { flush() }

    func channelInactive(context: ChannelHandlerContext) {
        dropsCheck?.cancel()
        isGone = true
        flush()
        leaveIfDone()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        isGone = true
        leaveIfDone()
    }

    /// What a datagram brings about concerns that one only.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}

    private func flush() {
        let count = flow.gathering.count
        flow.flush { [self] outcome in
            switch outcome {
            case .success: reportLoss()
            case .failure: lose(count, Self.droppedByUs)
            }
            flush()
            leaveIfDone()
        }
    }

    private func leaveIfDone() {
        guard isGone, flow.isEmpty else { return }
        whenGone()
        whenGone = {}
    }

    private func text(of address: SocketAddress) -> String {
        if let lastSender, lastSender.address == address { return lastSender.text }
        let text = address.ipAddress ?? Input.syslogUDP.name
        lastSender = (address, text)
        return text
    }

    // MARK: Losses

    private func lose(_ count: Int, _ counter: Counter) {
        lost += count
        counter.increment(by: count)
    }

    /// There is room again.
    private func reportLoss() {
        guard lost > 0 else { return }
        let event = ReportedEvent(
            source: "attune-ingest", occurredAt: .now(), type: SecurityEventType.eventsLost, severity: .high,
            details: "\(lost) syslog messages that came over UDP could not be kept")
        guard (try? flow.gathering.add(event, input: .syslogUDP)) != nil else { return }
        lost = 0
    }

    /// The kernel drops what comes while its buffer is full. It counts for each socket.
    private func checkDrops(_ context: ChannelHandlerContext) {
        guard let options = context.channel as? any SocketOptionProvider else { return }
        // SO_MEMINFO
        let reading: EventLoopFuture<SocketMemory> = options.unsafeGetSocketOption(level: .socket, name: .init(rawValue: 55))
        reading.assumeIsolated().whenSuccess { [self] memory in
            let drops = memory.drops &- dropsOfKernel
            guard drops > 0 else { return }
            dropsOfKernel = memory.drops
            lose(Int(drops), Self.droppedByKernel)
            reportLoss()
            flush()
        }
    }

    private static let dropsInterval = TimeAmount.seconds(5)
}

/// Linux's `SO_MEMINFO`: nine numbers, of which the last one counts datagrams that found no room.
private struct SocketMemory {
    var others: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0, 0, 0, 0, 0)
    var drops: UInt32 = 0
}
