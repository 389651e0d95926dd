import Accounts
import Hummingbird
import HummingbirdCore
import Live
import Logging
import NIOCore
import Postgres
import Registry
import ServiceLifecycle
import Telemetry

/// The API worker's HTTP server: function calls, the sync socket, and the pages about the worker itself.
public struct APIServer: Service {
    public struct Configuration: Sendable {
        public var host: String
        /// 0: any free port; see `onRunning`.
        public var port: Int
        /// Whose `X-Forwarded-For` is believed.
        public var addresses: ClientAddressResolver
        /// Whether pages of an origin may call.
        public var allowsOrigin: @Sendable (String) -> Bool
        public var limits = ConnectionLimits()

        public init(
            host: String, port: Int, addresses: ClientAddressResolver = ClientAddressResolver(trustedProxies: []),
            allowsOrigin: @escaping @Sendable (String) -> Bool = { _ in true }
        ) {
            self.host = host
            self.port = port
            self.addresses = addresses
            self.allowsOrigin = allowsOrigin
        }
    }

    private let application: any ApplicationProtocol
    private let entrance: Entrance
    private let census: SocketCensus
    private let logger: Logger

    /// - Parameter onRunning: called with the port when connections are accepted.
    init(
        configuration: Configuration, runner: FunctionRunner, accounts: Accounts, live: LiveQueries, snapshots: HeldSnapshots,
        database: PostgresClient, events: EventPath?, metrics: PrometheusRegistry, logger: Logger,
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        let router = Router(context: APIRequestContext.self)
        router.add(middleware: CrossOriginMiddleware(allowsOrigin: configuration.allowsOrigin))
        let callers = CallerResolver(accounts: accounts, addresses: configuration.addresses, logger: logger)
        let readiness = Readiness()
        FunctionRoutes(runner: runner, callers: callers).add(to: router)
        ConsistentReadRoutes(runner: runner, callers: callers, snapshots: snapshots, database: database).add(to: router)
        ServiceRoutes(
            accounts: accounts, live: live, database: database, events: events, metrics: metrics, readiness: readiness
        ).add(to: router)
        PageRoutes().add(to: router)

        // Hummingbird's own messages are about requests, of which we count the outcomes ourselves.
        var serverLogger = logger
        serverLogger.logLevel = max(logger.logLevel, .notice)
        self.logger = serverLogger
        let listeningSocket = ListeningSocket()
        entrance = Entrance(readiness: readiness, listeningSocket: listeningSocket)
        let census = SocketCensus(limits: configuration.limits)
        self.census = census
        application = Application(
            router: router,
            server: HTTPServerBuilder { responder in
                APIChannel(
                    responder: responder, live: live, addresses: configuration.addresses, readiness: readiness, census: census)
            },
            configuration: .init(address: .hostname(configuration.host, port: configuration.port), backlog: 4096),
            onServerRunning: { channel in
                listeningSocket.isOpen(channel)
                await onRunning(channel.localAddress?.port ?? configuration.port)
            },
            logger: serverLogger)
    }

    /// Runs until graceful shutdown or cancellation.
    ///
    /// At graceful shutdown no request fails: what has been accepted is answered, behind a proxy too (`HTTPConnectionHandler`),
    /// and sockets are closed one by one, with the answers that they wait for (`SyncSocketHandler`). Cancellation ends it.
    public func run() async throws {
        // The last one is stopped first.
        try await ServiceGroup(services: [Farewell(census: census), application, entrance], logger: logger).run()
    }
}

/// Lasts until the sockets have gone, which the server does not wait for.
private struct Farewell: Service {
    let census: SocketCensus

    func run() async throws {
        try? await gracefulShutdown()
        await census.waitUntilEmpty()
    }
}

/// Closes before the server does: says that the worker stops, and keeps new connections out.
private struct Entrance: Service {
    let readiness: Readiness
    let listeningSocket: ListeningSocket

    func run() async throws {
        try? await gracefulShutdown()
        readiness.startDraining()
        await listeningSocket.stopAdmitting()
    }
}
