import Logging
import Postgres
import ServiceLifecycle
import Usage

/// Says how busy this host is, as the API workers do of theirs.
struct LoadReporting: Service {
    let database: PostgresClient
    let logger: Logger

    private static let interval = Duration.seconds(5)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var hasFailed = false
            while !Task.isCancelled {
                do {
                    if let load = HostLoad.current() { _ = try await database.write(load.storing) }
                    hasFailed = false
                } catch {
                    if !hasFailed, !Task.isCancelled {
                        logger.warning("cannot report the load; trying again", metadata: ["error": "\(error)"])
                    }
                    hasFailed = true
                }
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}
