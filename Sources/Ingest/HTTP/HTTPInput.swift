import Delivery
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import Status

/// Takes events over HTTP, and answers what is asked about the daemon itself.
struct HTTPInput: Service {
    private let application: any ApplicationProtocol

    /// - Parameter onListening: called with the port when connections are accepted.
    init(
        host: String, port: Int, limits: RequestLimits = RequestLimits(), intake: Intake, token: IngestToken, budget: ByteBudget,
        pages: StatusPages, logger: Logger, onListening: @escaping @Sendable (Int) -> Void
    ) {
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: FailureForm())
        EventRoutes(intake: intake, token: token, bodies: IncomingBodies(limits: limits, budget: budget)).add(to: router)
        pages.add(to: router)
        let connections = HTTPConnections(maximum: limits.connections)
        // Hummingbird's own messages are about single requests.
        var serverLogger = logger
        serverLogger.logLevel = max(logger.logLevel, .notice)
        application = Application(
            router: router,
            server: .http1(
                configuration: .init(additionalChannelHandlers: [ConnectionGuard(limits: limits, connections: connections)])),
            configuration: .init(address: .hostname(host, port: port), backlog: 4096),
            onServerRunning: { channel in onListening(channel.localAddress?.port ?? port) },
            logger: serverLogger)
    }

    /// Runs until graceful shutdown, and then answers what has been asked.
    func run() async throws {
        try await application.run()
    }
}

/// Gives Hummingbird's own refusals, of a path that does not exist for one, the form of ours.
private struct FailureForm: RouterMiddleware {
    func handle(
        _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            throw RequestFailure(.notFound, .notFound, "There is nothing at this address for this method.")
        }
    }
}
