import Foundation
import Synchronization

/// A program to start, and how.
public struct Command: Sendable {
    public enum Output: Sendable {
        /// Each line of standard output and standard error, without its line feed.
        case lines(@Sendable (String) -> Void)
        /// The same; finishes when all who could write have gone.
        case stream(AsyncStream<String>.Continuation)
        /// Both are appended to this file.
        case file(String)
    }

    /// Absolute path.
    public var executable: String
    public var arguments: [String]
    public var environment: [String: String]
    /// Runs as this user; nil: as ours. Needs root.
    public var user: String?
    /// What the program gets when this process ends in whatever way, `kill -9` included.
    public var deathSignal: DeathSignal
    public var output: Output

    public enum DeathSignal: String, Sendable {
        case terminate = "TERM"
        /// PostgreSQL's fast shutdown.
        case interrupt = "INT"
    }

    public init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = ProcessInfo.processInfo.environment,
        user: String? = nil, deathSignal: DeathSignal = .terminate, output: Output
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.user = user
        self.deathSignal = deathSignal
        self.output = output
    }
}

/// How a process ended.
public enum ProcessExit: Equatable, Sendable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)

    public var description: String {
        switch self {
        case .code(let code): "exit code \(code)"
        case .signal(let signal): "signal \(signal)"
        }
    }
}

/// A started program. It is in a process group of its own, so that Ctrl-C in a terminal reaches us only and we decide
/// who stops first; and it dies with us.
public final class ChildProcess: Sendable {
    public let processID: pid_t

    private struct State {
        var exit: ProcessExit?
        var waiters: [@Sendable (ProcessExit) -> Void] = []
    }
    private let state = Mutex(State())

    private init(processID: pid_t) {
        self.processID = processID
    }

    /// Starts the program. Throws when it cannot be started at all; a wrong path shows as exit code 127.
    public static func start(_ command: Command) async throws -> ChildProcess {
        try await withCheckedThrowingContinuation { continuation in
            // A thread that stays as long as the child: the death signal is sent when the thread that started the child
            // ends, not the process, and threads of the pools come and go.
            Thread.detachNewThread {
                do {
                    let child = ChildProcess(processID: try spawn(command))
                    continuation.resume(returning: child)
                    child.waitAndReap()
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    /// Starts a program and waits for its end, which cancelling the task brings about.
    ///
    /// - Returns: how it ended, and what it wrote.
    public static func run(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = ProcessInfo.processInfo.environment,
        user: String? = nil
    ) async throws -> (exit: ProcessExit, output: String) {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        let child = try await start(
            Command(executable, arguments, environment: environment, user: user, output: .stream(continuation)))
        return await withTaskCancellationHandler {
            let exit = await child.wait()
            var output: [String] = []
            for await line in lines { output.append(line) }
            return (exit, output.joined(separator: "\n"))
        } onCancel: {
            child.send(SIGTERM)
        }
    }

    /// Waits for the program's end. Its last lines may come a little later.
    public func wait() async -> ProcessExit {
        await withCheckedContinuation { continuation in
            whenEnded { continuation.resume(returning: $0) }
        }
    }

    /// Waits for the program's end, or for the task's cancellation: then nil.
    public func waitUnlessCancelled() async -> ProcessExit? {
        let (exits, continuation) = AsyncStream.makeStream(of: ProcessExit.self)
        whenEnded { continuation.yield($0) }
        for await exit in exits { return exit }
        return nil
    }

    public var hasEnded: Bool { state.withLock { $0.exit != nil } }

    private func whenEnded(_ body: @escaping @Sendable (ProcessExit) -> Void) {
        let exit = state.withLock { state in
            if state.exit == nil { state.waiters.append(body) }
            return state.exit
        }
        if let exit { body(exit) }
    }

    /// Sends a signal, unless the program has ended.
    public func send(_ signal: Int32) {
        // While the lock is held and there is no exit, the id is still the child's.
        state.withLock { if $0.exit == nil { kill(processID, signal) } }
    }

    /// Asks the program to stop, and kills it, with the processes of its group, if it takes longer than `grace`.
    public func stop(_ signal: Int32 = SIGTERM, grace: Duration) {
        send(signal)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(grace / .milliseconds(1)))) { [self] in
            state.withLock { if $0.exit == nil { kill(-processID, SIGKILL) } }
        }
    }

    private func waitAndReap() {
        var information = siginfo_t()
        // Leaves the process a zombie, so that its id is not given away before `send` knows of its end.
        while waitid(P_PID, id_t(processID), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        let (exit, waiters) = state.withLock { state in
            var status: Int32 = 0
            while waitpid(processID, &status, 0) < 0, errno == EINTR {}
            let exit = status & 0x7F == 0 ? ProcessExit.code(status >> 8 & 0xFF) : .signal(status & 0x7F)
            state.exit = exit
            defer { state.waiters = [] }
            return (exit, state.waiters)
        }
        for waiter in waiters { waiter(exit) }
    }

    // MARK: Spawning

    /// One at a time: what is open can be marked as not for children only after it was opened, and another child started
    /// in between would keep our pipe open.
    private static let spawning = Mutex(())

    private static func spawn(_ command: Command) throws -> pid_t {
        try spawning.withLock { _ in try spawnAlone(command) }
    }

    private static func spawnAlone(_ command: Command) throws -> pid_t {
        // setpriv, of Debian's essential util-linux, sets the death signal between fork and exec, where Swift cannot run.
        // It does so after changing the user, which would clear it.
        var arguments = ["/usr/bin/setpriv", "--pdeathsig", command.deathSignal.rawValue]
        if let user = command.user {
            // By number, since a user's group can have any name.
            guard let group = getpwnam(user)?.pointee.pw_gid else { throw SystemError("find the user \(user)", code: ENOENT) }
            // The other user may not be able to enter our directory.
            arguments += ["--reuid", user, "--regid", String(group), "--init-groups", "--", "/usr/bin/env", "--chdir=/"]
        }
        arguments += [command.executable] + command.arguments

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)

        var pipe: [Int32] = []
        defer { for descriptor in pipe { close(descriptor) } }
        switch command.output {
        case .lines, .stream:
            pipe = [-1, -1]
            guard Glibc.pipe(&pipe) == 0 else { throw SystemError("pipe") }
            posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
        case .file(let path):
            posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        posix_spawn_file_actions_adddup2(&actions, 1, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        posix_spawnattr_setpgroup(&attributes, 0)
        // Signals that we ignore or block would stay so in the child.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)

        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }

        var processID: pid_t = 0
        let environment = command.environment.map { "\($0.key)=\($0.value)" }
        let code = withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                posix_spawn(&processID, arguments[0]!, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else { throw SystemError("start \(command.executable)", code: code) }
        if !pipe.isEmpty {
            let readEnd = pipe.removeFirst()
            Thread.detachNewThread {
                switch command.output {
                case .lines(let receive): readLines(from: readEnd, receive)
                case .stream(let continuation):
                    readLines(from: readEnd) { continuation.yield($0) }
                    continuation.finish()
                case .file: break
                }
            }
        }
        return processID
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        let pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
    }

    /// Reads until all who have the other end have closed it; longer lines are cut into pieces of 64 KiB.
    private static func readLines(from descriptor: Int32, _ receive: (String) -> Void) {
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 16384)
        var line: [UInt8] = []
        func finishLine() {
            receive(String(decoding: line, as: UTF8.self))
            line.removeAll(keepingCapacity: true)
        }
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            for byte in buffer[..<count] {
                if byte == UInt8(ascii: "\n") {
                    finishLine()
                } else {
                    line.append(byte)
                    if line.count == 65536 { finishLine() }
                }
            }
        }
        if !line.isEmpty { finishLine() }
    }
}

/// A failed call of the operating system.
public struct SystemError: Error, CustomStringConvertible {
    public let description: String

    init(_ action: String, code: Int32 = errno) {
        self.init(action, reason: String(cString: strerror(code)))
    }

    init(_ action: String, reason: String) {
        description = "cannot \(action): \(reason)"
    }
}
