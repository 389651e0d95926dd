import Development
import Domain
import Foundation
import Synchronization

/// An `attune-api` process, started again at once whenever it ends.
final class WorkerProcess: Sendable {
    let port: Int
    private let command: @Sendable (@escaping @Sendable (String) -> Void) -> Command
    private let polling: PollingTimes
    private let note: @Sendable (String) -> Void

    private struct State {
        var child: ChildProcess?
        var isStopped = false
    }
    private let state = Mutex(State())

    /// - Parameters:
    ///   - command: makes the command, given what takes the lines that it writes.
    ///   - note: gets the worker's lines from `notice` on.
    init(
        port: Int, polling: PollingTimes, note: @escaping @Sendable (String) -> Void,
        command: @escaping @Sendable (@escaping @Sendable (String) -> Void) -> Command
    ) {
        self.port = port
        self.polling = polling
        self.note = note
        self.command = command
    }

    /// As the proxy names it.
    var address: String { "127.0.0.1:\(port)" }

    var processID: pid_t? { state.withLock { $0.child.flatMap { $0.hasEnded ? nil : $0.processID } } }

    func run() async throws {
        while !state.withLock({ $0.isStopped }) {
            let child = try await ChildProcess.start(command { [weak self] line in self?.take(line) })
            let isStopped = state.withLock { state in
                state.child = child
                return state.isStopped
            }
            if isStopped { child.stop(grace: .seconds(5)) }
            let exit = await child.wait()
            polling.end(address, at: Self.now())
            guard !state.withLock({ $0.isStopped }) else { return }
            note("\(address) ended: \(exit)")
            // One that cannot start at all must not be started a thousand times a second.
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    func send(_ signal: Int32) { state.withLock { $0.child }?.send(signal) }

    func stop() {
        let child = state.withLock { state in
            state.isStopped = true
            return state.child
        }
        child?.send(SIGCONT)
        child?.stop(grace: .seconds(10))
    }

    /// What a worker says of its feed.
    private func take(_ line: String) {
        let time = Self.time(of: line) ?? Self.now()
        if line.contains("looking at snapshots until the change feed is connected") {
            polling.begin(address, at: time)
        } else if line.contains("the change feed is connected") {
            polling.end(address, at: time)
        }
        if !line.contains(" info ") || line.contains(" feed ") { note("\(address) | \(line)") }
    }

    /// In nanoseconds since 1970.
    private static func now() -> Int64 { Instant.now().microseconds * 1000 }

    /// Lines begin with their time in UTC: a worker that was stopped may have written it a while ago.
    private static func time(of line: String) -> Int64? {
        let word = line.prefix { $0 != " " }
        guard word.hasSuffix("Z"), let time = milliseconds(ofTimestamp: word.dropLast().replacing("T", with: " ") + "+00") else { return nil }
        return Int64(time * 1_000_000)
    }
}
