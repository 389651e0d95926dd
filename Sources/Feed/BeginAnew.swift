import Logging

/// Attempts to deliver commits until the task is cancelled. When an attempt ends, the receiver is told that commits may be missed,
/// and after a moment, a longer one each time if attempts do not last, another begins.
func beginAnewUntilCancelled(
    logger: Logger, _ receive: @Sendable (FeedEvent) async -> Void, attempt: () async throws -> Void
) async {
    var failures = 0
    while !Task.isCancelled {
        let began = ContinuousClock.now
        do {
            try await attempt()
        } catch {
            guard !Task.isCancelled else { break }
            logger.warning("the change feed was lost; beginning anew", metadata: ["error": "\(error)"])
        }
        await receive(.disconnected)
        failures = ContinuousClock.now - began > .seconds(5) ? 1 : failures + 1
        let ceiling = min(2.0, 0.05 * Double(1 << min(failures, 10)))
        try? await Task.sleep(for: .seconds(Double.random(in: ceiling / 2...ceiling)))
    }
}
