import Development
import Foundation
import Postgres
import Synchronization
import TestSupport

/// An installation as operators run it: `attune-api` processes on one scratch database, and nginx before them with the
/// configuration that the project ships.
public final class TestInstallation: Sendable {
    /// Through nginx.
    public let front: TestWorker
    /// Each worker by its own port.
    public let workers: [TestWorker]
    private let environment: [String: String]
    private let processes: Mutex<[ChildProcess]>

    fileprivate init(front: TestWorker, workers: [TestWorker], environment: [String: String]) async throws {
        self.front = front
        self.workers = workers
        self.environment = environment
        var processes: [ChildProcess] = []
        for worker in workers { processes.append(try await Self.start(worker, environment)) }
        self.processes = Mutex(processes)
        for worker in workers { try await Self.waitUntilReady(worker) }
    }

    private static func start(_ worker: TestWorker, _ environment: [String: String]) async throws -> ChildProcess {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let environment = environment.merging(["ATTUNE_PORT": String(worker.port)]) { $1 }
        return try await ChildProcess.start(
            Command(tests.appending(path: "attune-api").path, environment: environment, output: .lines { _ in }))
    }

    private static func waitUntilReady(_ worker: TestWorker) async throws {
        try await eventually("a worker that is ready and follows the database's log") {
            let answer = try? await worker.request(.GET, "/health/ready")
            return answer?.status == 200 && answer?.json?["feed"] == "connected"
        }
    }

    /// Sends the worker a signal and gives how it ended.
    public func stop(_ worker: Int, _ signal: Int32 = SIGTERM) async -> ProcessExit {
        let process = processes.withLock { $0[worker] }
        process.send(signal)
        return await process.wait()
    }

    /// Starts a worker that has ended, and waits until it is ready.
    public func start(_ worker: Int) async throws {
        let process = try await Self.start(workers[worker], environment)
        processes.withLock { $0[worker] = process }
        try await Self.waitUntilReady(workers[worker])
    }

    fileprivate func end() async {
        for worker in [front] + workers { worker.checkSockets() }
        for process in processes.withLock({ $0 }) {
            process.send(SIGKILL)
            _ = await process.wait()
        }
    }
}

/// Starts an installation, lends it to `body` when all its workers are ready, and takes everything away afterwards.
///
/// - Parameter environment: settings of the workers.
public func withInstallation(
    workers count: Int, environment: [String: String] = [:], _ body: @Sendable (TestInstallation) async throws -> Void
) async throws {
    try await ScratchDatabase.withDatabase(.migrated) {
        let databaseURL = ScratchDatabase.current.url
        let database = ScratchDatabase.current.makeClient()
        let folder = FileManager.default.temporaryDirectory.appending(path: "attune-installation-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await TestKeys.shared.write(into: folder)

        var ports: Set<Int> = []
        while ports.count < count + 1 { ports.insert(try LocalPort.findFree()) }
        let seats = try ports.map { try TestWorker(port: $0, databaseURL: databaseURL, dataFolder: folder, database: database) }
        let settings = [
            "DATABASE_URL": databaseURL, "ATTUNE_DATA_DIR": folder, "ATTUNE_SITE_URL": testIssuer,
            "ATTUNE_TRUSTED_PROXIES": "127.0.0.1", "ATTUNE_LOG_LEVEL": "error",
        ]
        let inherited = ProcessInfo.processInfo.environment.filter { ["PATH", "LD_LIBRARY_PATH"].contains($0.key) }
        let nginx = try await startNginx(on: seats[0].port, before: seats.dropFirst().map(\.port), folder: folder)
        let outcome: Result<Void, any Error>
        do {
            let installation = try await TestInstallation(
                front: seats[0], workers: Array(seats.dropFirst()),
                environment: inherited.merging(settings) { $1 }.merging(environment) { $1 })
            do { outcome = .success(try await body(installation)) } catch { outcome = .failure(error) }
            await installation.end()
        } catch {
            outcome = .failure(error)
        }
        nginx.send(SIGTERM)
        _ = await nginx.wait()
        try outcome.get()
    }
}

/// Debian's nginx with `deploy/nginx/attune.conf` as it is, but for the ports.
private func startNginx(on port: Int, before workers: [Int], folder: String) async throws -> ChildProcess {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
    var isFirst = true
    let shipped = try String(contentsOf: root.appending(path: "deploy/nginx/attune.conf"), encoding: .utf8)
        .replacing(#/ *listen .*\n/#) { _ in "" }
        .replacing("server_name _;", with: "server_name _;\n    listen 127.0.0.1:\(port);")
        .replacing(#/server 127\.0\.0\.1:\d+(?<options>.*);\n/#) { match in
            defer { isFirst = false }
            return isFirst ? workers.map { "server 127.0.0.1:\($0)\(match.options);\n" }.joined() : ""
        }
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(folder)/\($0);\n" }.joined()
    let main = """
        daemon off;
        master_process off;
        pid \(folder)/nginx.pid;
        error_log \(folder)/nginx.log;
        events { worker_connections 4096; }
        http {
        access_log off;
        \(temporary)\(shipped)
        }
        """
    let path = folder + "/nginx.conf"
    try main.write(toFile: path, atomically: false, encoding: .utf8)
    return try await ChildProcess.start(
        Command("/usr/sbin/nginx", ["-c", path, "-e", folder + "/nginx.log"], output: .lines { _ in }))
}
