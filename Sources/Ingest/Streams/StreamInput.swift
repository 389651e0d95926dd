import Delivery
import Events
import Logging
import Metrics
import NIOCore
import NIOPosix
import Rules
import ServiceLifecycle

/// Listens for connections that carry events, one after the other: JSON lines or syslog, over TCP, TLS or a Unix socket.
struct StreamInput: Service {
    enum Place {
        /// Port 0: any free one.
        case port(host: String, Int)
        /// A path, and for processes of the same user only.
        case unixSocket(String)
    }

    enum Format {
        /// JSON, one event in each line.
        ///
        /// - Parameter token: what the first line has to prove, if anything.
        case events(token: IngestToken?)
        case syslog(LineRules)
    }

    struct Limits {
        /// Beyond so many, new connections are closed at once.
        var connections = 2000
        /// Of one connection, how much may wait to become durable, in bytes.
        var waitingBytes = 1 << 20
        /// How long a connection may say nothing at first, or in the middle of a line.
        var silence = TimeAmount.minutes(10)
        /// How long the end may take after graceful shutdown.
        var farewell = Duration.seconds(10)
    }

    private let input: Input
    private let place: Place
    private let format: Format
    private let tls: TLSIdentity?
    private let limits: Limits
    private let intake: Intake
    private let budget: ByteBudget
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - input: by which name the ledger counts.
    ///   - tls: if given, connections have to speak TLS.
    ///   - budget: bounds what all connections hold together; may be shared with other inputs.
    ///   - onListening: called with the port (0: a Unix socket) when connections are accepted.
    init(
        _ input: Input, at place: Place, format: Format, tls: TLSIdentity? = nil, limits: Limits = Limits(), intake: Intake,
        budget: ByteBudget, logger: Logger, onListening: @escaping @Sendable (Int) -> Void
    ) {
        self.input = input
        self.place = place
        self.format = format
        self.tls = tls
        self.limits = limits
        self.intake = intake
        self.budget = budget
        self.logger = logger
        self.onListening = onListening
    }

    /// Runs until graceful shutdown or cancellation. What has been read by then is made durable and acknowledged.
    ///
    /// - Throws: when it cannot listen.
    func run() async throws {
        let acceptor = BatchAcceptor(intake)
        let census = ConnectionCensus(limit: limits.connections)
        let bootstrap = bootstrap(acceptor, census)
        let server: any Channel
        var socketFile: UnixSocketFile?
        switch place {
        case .port(let host, let port):
            server = try await bootstrap.bind(host: host, port: port).get()
        case .unixSocket(let path):
            socketFile = UnixSocketFile(path: path)
            server = try await UnixSocketFile(path: path).bind(bootstrap)
        }
        onListening(server.localAddress?.port ?? 0)

        await withTaskGroup { group in
            group.addTask { await acceptor.run() }
            try? await gracefulShutdown()
            socketFile?.remove()
            try? await server.close()
            census.stop()
            group.addTask {
                try? await Task.sleep(for: limits.farewell)
                acceptor.giveUp()
            }
            await census.waitUntilEmpty()
            acceptor.finish()
            group.cancelAll()
        }
    }

    private func bootstrap(_ acceptor: BatchAcceptor, _ census: ConnectionCensus) -> ServerBootstrap {
        let isTCP = if case .port = place { true } else { false }
        let gauge = Gauge(label: "attune_ingest_connections", dimensions: [("input", label)])
        let refused = Counter(label: "attune_ingest_connections_refused_total", dimensions: [("input", label)])
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            // When no more files can be open, accepting has to pause.
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler()) }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            // What the kernel holds is read at once when the sender closes, however full we are.
            .childChannelOption(.socketOption(.so_rcvbuf), value: Self.receiveBuffer)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = StreamHandler(
                        format: makeFormat(sender: channel.remoteAddress?.ipAddress),
                        flow: BatchFlow(acceptor: acceptor, eventLoop: channel.eventLoop),
                        maximumWaitingBytes: limits.waitingBytes, budget: budget)
                    let pipeline = channel.pipeline.syncOperations
                    try tls?.addHandlers(to: pipeline)
                    try pipeline.addHandlers(IdleStateHandler(readTimeout: limits.silence), handler)
                    let identity = ObjectIdentifier(handler)
                    let bound = NIOLoopBound(handler, eventLoop: channel.eventLoop)
                    guard census.enter(identity, stop: { channel.eventLoop.execute { bound.value.stop() } }) else {
                        refused.increment()
                        throw TooManyConnections()
                    }
                    gauge.record(census.count)
                    handler.whenGone = {
                        census.leave(identity)
                        gauge.record(census.count)
                    }
                }
            }
        guard isTCP else { return bootstrap }
        return bootstrap
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Finds senders that have gone without a word.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    }

    private func makeFormat(sender: String?) -> any StreamFormat {
        switch format {
        case .events(let token):
            EventStreamFormat(input, token: token, source: sender.map { "\(input.name):\($0)" } ?? input.name)
        case .syslog(let rules):
            SyslogStreamFormat(reader: SyslogReader(rules: rules, input: input), sender: sender ?? input.name)
        }
    }

    /// For metrics: the input's name, and whether it speaks TLS.
    private var label: String { input.name + (tls == nil ? "" : "_tls") }

    private static let receiveBuffer = 256 << 10
}

/// The connection is closed at once.
private struct TooManyConnections: Error {}
