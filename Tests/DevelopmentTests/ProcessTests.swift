import Development
import Foundation
import Synchronization
import Testing

@Suite("Child processes")
struct ProcessTests {
    /// Lines in the order in which they come, to be waited for.
    private final class Lines: Sendable {
        private let stream = AsyncStream.makeStream(of: String.self)
        func append(_ line: String) { stream.continuation.yield(line) }

        /// The next line that begins with `prefix`, without it.
        func next(after prefix: String) async -> String? {
            for await line in stream.stream where line.hasPrefix(prefix) { return String(line.dropFirst(prefix.count)) }
            return nil
        }
    }

    private func shell(_ script: String, _ lines: Lines) -> Command {
        Command("/bin/sh", ["-c", script], output: .lines { lines.append($0) })
    }

    @Test("give their output and how they ended")
    func run() async throws {
        let result = try await ChildProcess.run("/bin/sh", ["-c", "echo out; echo err >&2; printf end; exit 3"])
        #expect(result.exit == .code(3))
        #expect(result.output == "out\nerr\nend")
        #expect(try await ChildProcess.run("/bin/sh", ["-c", "kill -9 $$"]).exit == .signal(9))
        #expect(try await ChildProcess.run("/nowhere/nothing").exit == .code(127))
    }

    @Test("are stopped with the task that waits for them", .timeLimit(.minutes(1)))
    func cancelled() async throws {
        let task = Task { try await ChildProcess.run("/bin/sleep", ["1000"]).exit }
        task.cancel()
        #expect(try await task.value == .signal(SIGTERM))
    }

    @Test("are in a group of their own, with nothing ignored and nothing inherited", .timeLimit(.minutes(1)))
    func surroundings() async throws {
        signal(SIGPIPE, SIG_IGN)
        let result = try await ChildProcess.run(
            "/bin/sh",
            ["-c", "ps -o pgid= -p $$ | tr -d ' '; echo $$; grep SigIgn /proc/$$/status; ls /proc/$$/fd | tr '\\n' ' '"])
        let lines = result.output.split(separator: "\n")
        #expect(lines[0] == lines[1])
        // The two signals behind the first 31 are the C library's own.
        let ignored = try #require(lines[2].split(separator: "\t").last.flatMap { UInt64($0, radix: 16) })
        #expect(ignored & 0x7FFF_FFFF == 0)
        #expect(lines[3] == "0 1 2 ")
    }

    @Test("are started again when they crash, and stopped in the end", .timeLimit(.minutes(1)))
    func supervised() async throws {
        let lines = Lines()
        let supervised = SupervisedProcess(
            name: "worker", command: shell("echo pid $$; while :; do sleep 0.05; done", lines), report: { lines.append($0) })
        supervised.markReady()
        let running = Task { try await supervised.run() }
        let first = try #require(await lines.next(after: "pid ").flatMap { pid_t($0) })
        kill(first, SIGKILL)
        #expect(await lines.next(after: "worker ended by itself (signal 9)") != nil)
        let second = try #require(await lines.next(after: "pid ").flatMap { pid_t($0) })
        #expect(second != first)
        running.cancel()
        try await running.value
        #expect(kill(second, 0) == -1)
    }

    @Test("one that ends before it is ready is a failed start", .timeLimit(.minutes(1)))
    func endedAtStart() async throws {
        let supervised = SupervisedProcess(name: "worker", command: shell("exit 4", Lines()), report: { _ in })
        let error = await #expect(throws: SupervisedProcess.EndedAtStart.self) { try await supervised.run() }
        #expect(error?.exit == .code(4))
    }

    @Test("one that will not stop is killed after its grace, with what it has started", .timeLimit(.minutes(1)))
    func stubborn() async throws {
        let lines = Lines()
        let script = "trap '' TERM; sleep 1000 & echo pid $!; wait; while :; do sleep 0.05; done"
        let supervised = SupervisedProcess(
            name: "worker", command: shell(script, lines), grace: .milliseconds(100), report: { _ in })
        supervised.markReady()
        let running = Task { try await supervised.run() }
        let grandchild = try #require(await lines.next(after: "pid ").flatMap { pid_t($0) })
        running.cancel()
        try await running.value
        // Somebody else's child by now, which is reaped when it suits them.
        while kill(grandchild, 0) == 0, !isZombie(grandchild) { await Task.yield() }
    }

    private func isZombie(_ processID: pid_t) -> Bool {
        (try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8))?.contains("State:\tZ") ?? true
    }
}

@Suite("Ports")
struct PortTests {
    @Test("one on which somebody listens is refused, and free again afterwards", .timeLimit(.minutes(1)))
    func taken() throws {
        let port = try LocalPort.findFree()
        try LocalPort.check(host: "127.0.0.1", port: port)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        #expect(code == 0 && listen(listener, 1) == 0)
        #expect(throws: SystemError.self) { try LocalPort.check(host: "127.0.0.1", port: port) }
        close(listener)
        // A child that another test is just starting has the socket too, until it becomes its program.
        while (try? LocalPort.check(host: "127.0.0.1", port: port)) == nil {}
    }

    @Test("an address of another machine, and a name of none, are refused", arguments: ["192.0.2.1", "no.such.host.invalid"])
    func foreign(host: String) throws {
        #expect(throws: SystemError.self) { try LocalPort.check(host: host, port: 1) }
    }
}
