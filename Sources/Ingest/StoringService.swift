import Logging
import Postgres
import Schema
import ServiceLifecycle

/// All that needs the database. It begins when the database answers and has the schema that this program was built for.
struct StoringService: Service {
    let migrator: Migrator
    let health: IngestHealth
    /// The last one is stopped first.
    let services: [any Service]
    let logger: Logger

    private static let interval = Duration.seconds(2)

    func run() async throws {
        guard await cancelWhenGracefulShutdown({ await waitForSchema() }) else { return }
        try await ServiceGroup(services: services, logger: logger).run()
    }

    /// - Returns: false when the daemon stops before.
    private func waitForSchema() async -> Bool {
        var lastProblem: String?
        while !Task.isCancelled {
            do {
                try await migrator.requireCurrent()
                health.setSchemaProblem(nil)
                return true
            } catch {
                let problem = "\(error)"
                health.setSchemaProblem(problem)
                if problem != lastProblem, !Task.isCancelled {
                    logger.warning(
                        "events wait in the spool until the database is as it should be", metadata: ["reason": "\(problem)"])
                }
                lastProblem = problem
            }
            try? await Task.sleep(for: Self.interval)
        }
        return false
    }
}
