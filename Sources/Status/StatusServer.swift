import Hummingbird
import HummingbirdCore
import Logging
import ServiceLifecycle

/// The HTTP server of a daemon that serves nothing but its status pages.
public struct StatusServer: Service {
    private let application: any ApplicationProtocol

    /// - Parameters:
    ///   - port: 0 for any free one; see `onListening`.
    ///   - onListening: called with the port when connections are accepted.
    public init(
        _ pages: StatusPages, host: String, port: Int, logger: Logger, onListening: @escaping @Sendable (Int) -> Void
    ) {
        let router = Router(context: BasicRequestContext.self)
        pages.add(to: router)
        // Hummingbird's own messages are about single requests.
        var serverLogger = logger
        serverLogger.logLevel = max(logger.logLevel, .notice)
        application = Application(
            router: router,
            server: .http1(configuration: .init(idleTimeout: .seconds(60))),
            configuration: .init(address: .hostname(host, port: port)),
            onServerRunning: { channel in onListening(channel.localAddress?.port ?? port) },
            logger: serverLogger)
    }

    /// Runs until graceful shutdown, and then answers what has been asked.
    public func run() async throws {
        try await application.run()
    }
}
