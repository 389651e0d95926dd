import Delivery
import NIOCore
import Synchronization

/// Takes batches of event loops to the intake, which may keep its callers waiting. While there is no room on the disk it tries
/// again: whoever waits for the outcome reads no more meanwhile, and so the sender waits too.
final class BatchAcceptor: Sendable {
    private struct Job {
        let batch: IntakeBatch
        let outcome: EventLoopPromise<Receipt>
    }

    private let intake: Intake
    private let jobs: AsyncStream<Job>
    private let continuation: AsyncStream<Job>.Continuation
    private let hasGivenUp = Atomic(false)

    init(_ intake: Intake) {
        self.intake = intake
        // As many as there are channels: each waits for its outcome.
        (jobs, continuation) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    func accept(_ batch: IntakeBatch, _ outcome: EventLoopPromise<Receipt>) {
        if case .terminated = continuation.yield(Job(batch: batch, outcome: outcome)) { outcome.fail(IntakeError.closed) }
    }

    /// Takes what it is given until `finish()`. Goes on when cancelled, so that each batch has an outcome.
    func run() async {
        // Cancellation would end the stream with batches in it.
        await Task {
            await withDiscardingTaskGroup { group in
                for await job in jobs { group.addTask { await self.take(job) } }
            }
        }.value
    }

    /// Waits no longer for room on the disk.
    func giveUp() { hasGivenUp.store(true, ordering: .relaxed) }

    func finish() { continuation.finish() }

    private func take(_ job: Job) async {
        while true {
            do throws(IntakeError) {
                return job.outcome.succeed(try await intake.accept(job.batch))
            } catch {
                guard error == .full, !hasGivenUp.load(ordering: .relaxed) else { return job.outcome.fail(error) }
                try? await Task.sleep(for: Self.retryInterval)
            }
        }
    }

    private static let retryInterval = Duration.milliseconds(250)
}
