import Foundation
import Synchronization

/// A program that is to run for as long as we do: started again when it ends by itself.
public final class SupervisedProcess: Sendable {
    public let name: String
    private let command: Command
    private let grace: Duration
    private let report: @Sendable (String) -> Void
    private let hasBeenReady = Mutex(false)

    /// - Parameters:
    ///   - grace: how long it may take to stop before it is killed.
    ///   - report: gets a line when the program has ended by itself.
    public init(name: String, command: Command, grace: Duration = .seconds(15), report: @escaping @Sendable (String) -> Void) {
        self.name = name
        self.command = command
        self.grace = grace
        self.report = report
    }

    /// From now on an end is an accident, which starting again may mend, and no longer a failed start.
    public func markReady() {
        hasBeenReady.withLock { $0 = true }
    }

    /// Runs the program until the task is cancelled, and returns when it has stopped.
    ///
    /// Throws `EndedAtStart` when it ends before `markReady`.
    public func run() async throws {
        var failures = 0
        while !Task.isCancelled {
            let started = ContinuousClock.now
            let child = try await ChildProcess.start(command)
            let exit = await withTaskCancellationHandler {
                await child.wait()
            } onCancel: {
                child.stop(grace: grace)
            }
            if Task.isCancelled { return }
            guard hasBeenReady.withLock({ $0 }) else { throw EndedAtStart(name: name, exit: exit) }
            // One that has held for a while has not inherited its predecessors' trouble.
            failures = started.duration(to: .now) > .seconds(30) ? 1 : failures + 1
            let pause = Duration.milliseconds(min(10_000, 50 << min(failures, 10)))
            report("\(name) ended by itself (\(exit)); starting it again in \(pause)")
            try? await Task.sleep(for: pause)
        }
    }

    public struct EndedAtStart: Error, CustomStringConvertible {
        public let name: String
        public let exit: ProcessExit
        public var description: String { "\(name) ended while starting (\(exit)); its own lines say why" }
    }
}
