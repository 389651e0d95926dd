import Delivery
import Logging
import NIOCore
import NIOPosix
import Rules
import ServiceLifecycle

/// Listens for syslog messages over UDP, one in each datagram.
///
/// Nobody can be made to wait: when the disk's budget is used up, or messages come faster than they can be written, they are
/// dropped and counted, and an event tells how many as soon as there is room again.
struct DatagramInput: Service {
    private let host: String
    private let port: Int
    private let rules: LineRules
    private let maximumWaitingBytes: Int
    private let intake: Intake
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - port: 0: any free one.
    ///   - maximumWaitingBytes: with so much that is not durable, what comes is dropped.
    ///   - onListening: called with the port when messages are taken.
    init(
        host: String, port: Int, rules: LineRules, maximumWaitingBytes: Int = 4 << 20, intake: Intake, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void
    ) {
        self.host = host
        self.port = port
        self.rules = rules
        self.maximumWaitingBytes = maximumWaitingBytes
        self.intake = intake
        self.logger = logger
        self.onListening = onListening
    }

    /// Runs until graceful shutdown or cancellation.
    ///
    /// - Throws: when it cannot listen.
    func run() async throws {
        let acceptor = BatchAcceptor(intake)
        let census = ConnectionCensus(limit: 1)
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.datagramVectorReadMessageCount, value: Self.messagesPerRead)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.messagesPerRead << 16))
            .channelOption(.maxMessagesPerRead, value: 8)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = DatagramHandler(
                        reader: SyslogReader(rules: rules, input: .syslogUDP),
                        flow: BatchFlow(acceptor: acceptor, eventLoop: channel.eventLoop),
                        maximumWaitingBytes: maximumWaitingBytes)
                    let identity = ObjectIdentifier(handler)
                    _ = census.enter(identity, stop: {})
                    handler.whenGone = { census.leave(identity) }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: host, port: port).get()
        await Self.enlargeReceiveBuffer(of: channel)
        onListening(channel.localAddress?.port ?? port)

        await withTaskGroup { group in
            group.addTask { await acceptor.run() }
            try? await gracefulShutdown()
            try? await channel.close()
            // The spool is given no time to find room: nobody waits for an answer.
            acceptor.giveUp()
            await census.waitUntilEmpty()
            acceptor.finish()
        }
    }

    /// As large as we may: a burst waits there while we are busy.
    private static func enlargeReceiveBuffer(of channel: any Channel) async {
        guard let options = channel as? any SocketOptionProvider else { return }
        do {
            // SO_RCVBUFFORCE goes beyond the system's limit, for administrators.
            try await options.unsafeSetSocketOption(level: .socket, name: .init(rawValue: 33), value: receiveBuffer).get()
        } catch {
            try? await channel.setOption(.socketOption(.so_rcvbuf), value: Int(receiveBuffer)).get()
        }
    }

    private static let messagesPerRead = 32
    private static let receiveBuffer: Int32 = 8 << 20
}
