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
    private let readiness: Readiness

    /// - Parameter onRunning: called with the port when connections are accepted.
    public init(
        configuration: Configuration, runner: FunctionRunner, accounts: Accounts, live: LiveQueries, snapshots: HeldSnapshots,
        database: PostgresClient, metrics: PrometheusRegistry, logger: Logger,
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        let router = Router(context: APIRequestContext.self)
        router.add(middleware: CrossOriginMiddleware(allowsOrigin: configuration.allowsOrigin))
        let callers = CallerResolver(accounts: accounts, addresses: configuration.addresses, logger: logger)
        let readiness = Readiness()
        FunctionRoutes(runner: runner, callers: callers).add(to: router)
        ConsistentReadRoutes(runner: runner, callers: callers, snapshots: snapshots, database: database).add(to: router)
        ServiceRoutes(accounts: accounts, live: live, database: database, metrics: metrics, readiness: readiness).add(to: router)

        // Hummingbird's own messages are about requests, of which we count the outcomes ourselves.
        var serverLogger = logger
        serverLogger.logLevel = max(logger.logLevel, .notice)
        self.readiness = readiness
        application = Application(
            router: router,
            server: HTTPServerBuilder { responder in
                APIChannel(responder: responder, live: live, addresses: configuration.addresses)
            },
            configuration: .init(address: .hostname(configuration.host, port: configuration.port), backlog: 4096),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? configuration.port) },
            logger: serverLogger)
    }

    public func run() async throws {
        try await withGracefulShutdownHandler {
            try await application.run()
        } onGracefulShutdown: { [readiness] in
            readiness.startDraining()
        }
    }
}
