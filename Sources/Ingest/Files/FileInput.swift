#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import Delivery
import Logging
import NIOPosix
import Rules
import ServiceLifecycle
import Synchronization

/// Follows files as `tail -F` does, and makes each line an event, exactly once: where it is in each file is written down after the
/// events are durable, and a line that is read again has the same id.
struct FileInput: Service {
    private let files: [FollowedFile]
    private let positions: PositionFile
    private let lines: FileLines
    private let intake: Intake
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - positions: the folder where it is written down how far files have been read; made if need be.
    ///   - onListening: called with 0 when the files are looked at.
    init(
        files: [FollowedFile], positions: String, rules: LineRules, intake: Intake, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void
    ) {
        self.files = files
        self.positions = PositionFile(folder: positions)
        lines = FileLines(rules: rules, host: Self.hostName)
        self.intake = intake
        self.logger = logger
        self.onListening = onListening
    }

    /// Runs until graceful shutdown or cancellation.
    ///
    /// - Throws: when the positions cannot be read or written.
    func run() async throws {
        // Reading files blocks.
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        do {
            try await follow(on: thread)
        } catch {
            try? await thread.shutdownGracefully()
            throw error
        }
        try await thread.shutdownGracefully()
    }

    private func follow(on thread: NIOThreadPool) async throws {
        let desk = try await thread.runIfActive { try Desk(files, positions, lines, logger) }
        onListening(0)
        // Graceful shutdown cancels nothing, so that the turn that is under way comes to its end, positions included.
        await withTaskCancellationOrGracefulShutdownHandler {
            // In a function: values made in the body of an endless loop may never be released.
            while !desk.isClosing, await takeTurn(desk, thread) {}
        } onCancelOrGracefulShutdown: {
            desk.close()
        }
    }

    /// - Returns: false when there is no use in going on: the intake is closed, or its disk fails.
    private func takeTurn(_ desk: Desk, _ thread: NIOThreadPool) async -> Bool {
        guard let batch = try? await thread.runIfActive({ desk.read() }) else { return false }
        if !batch.isEmpty {
            do throws(IntakeError) {
                try await accept(batch, desk)
            } catch {
                return false
            }
        }
        try? await thread.runIfActive { desk.writeDownPositions() }
        if batch.isEmpty { try? await Task.sleep(for: Self.pause) }
        return true
    }

    /// Waits while there is no room on the disk, unless it is time to go: then the lines are read again next time.
    private func accept(_ batch: IntakeBatch, _ desk: Desk) async throws(IntakeError) {
        while true {
            do throws(IntakeError) {
                _ = try await intake.accept(batch)
                return
            } catch {
                guard error == .full, !desk.isClosing else { throw error }
                try? await Task.sleep(for: Self.pause)
            }
        }
    }

    private static let pause = Duration.milliseconds(250)

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}

/// All followed files and the note of where we are in them. Touched on one thread, which may block.
private final class Desk: Sendable {
    private struct State {
        var followers: [FileFollower]
        /// Of files that are not followed now. Whoever names one again goes on from there.
        let others: [FilePosition]
        var written: [FilePosition]
        var couldWrite = true
    }

    private let state: Mutex<State>
    private let closing = Atomic(false)
    private let file: PositionFile
    private let logger: Logger

    init(_ files: [FollowedFile], _ file: PositionFile, _ lines: FileLines, _ logger: Logger) throws(FileProblem) {
        self.file = file
        self.logger = logger
        let loaded = try file.load()
        let followers = files.map { followed in
            FileFollower(followed, from: loaded.filter { $0.path == followed.path }, lines: lines, logger: logger)
        }
        let paths = Set(files.map(\.path))
        state = Mutex(State(followers: followers, others: loaded.filter { !paths.contains($0.path) }, written: loaded))
    }

    /// Whether no more turns are wanted.
    var isClosing: Bool { closing.load(ordering: .relaxed) }

    func close() { closing.store(true, ordering: .relaxed) }

    /// What has been written to the files since, as far as it fits into one batch.
    func read() -> IntakeBatch {
        state.withLock { state in
            var batch = IntakeBatch()
            for index in state.followers.indices { state.followers[index].readOn(into: &batch, limit: Self.batchBytes) }
            return batch
        }
    }

    /// What has been read is durable. If the positions cannot be written, lines will be read again after a restart, and known.
    func writeDownPositions() {
        state.withLock { state in
            let positions = state.others + state.followers.flatMap(\.positions)
            guard positions != state.written else { return }
            do throws(FileProblem) {
                try file.save(positions)
                state.written = positions
                state.couldWrite = true
            } catch {
                if state.couldWrite {
                    logger.warning("cannot write down how far files have been read", metadata: ["problem": "\(error)"])
                }
                state.couldWrite = false
            }
        }
    }

    private static let batchBytes = 1 << 20
}
