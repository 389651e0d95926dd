import Delivery
import NIOCore

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

    init(_ intake: Intake) {
        self.intake = intake
        // As many as there are channels: each waits for its outcome.
        (jobs, continuation) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    func accept(_ batch: IntakeBatch, _ outcome: EventLoopPromise<Receipt>) {
        if case .terminated = continuation.yield(Job(batch: batch, outcome: outcome)) { outcome.fail(IntakeError.closed) }
    }

    /// Takes what it is given until `finish()`. When cancelled it waits no longer for room on the disk.
    func run() async {
        await withDiscardingTaskGroup { group in
            // Not ended by cancellation, so that each job has an outcome.
            for await job in jobs { group.addTask { await self.take(job) } }
        }
    }

    func finish() { continuation.finish() }

    private func take(_ job: Job) async {
        while true {
            do throws(IntakeError) {
                return job.outcome.succeed(try await intake.accept(job.batch))
            } catch {
                guard error.isForNow, (try? await Task.sleep(for: Self.retryInterval)) != nil else { return job.outcome.fail(error) }
            }
        }
    }

    private static let retryInterval = Duration.milliseconds(250)
}
