import Development
import Foundation
import Logging
import Postgres

/// A PostgreSQL cluster in a throw-away folder, some workers on it, and nginx before them.
struct Installation {
    let cluster: PrivateCluster
    let workers: [WorkerProcess]
    let proxy: Proxy
    /// As the database's owner, who the workers are too.
    let connectionString: String
    /// As the cluster's administrator.
    let administratorConnectionString: String

    struct Settings: Sendable {
        var folder: String
        /// Where `attune-api` and `attune-migrate` are.
        var programs: String
        var nginxConfiguration: String
        var workers: Int
        /// What is broken on purpose in a debug build of the workers; nil: nothing.
        var sabotage: String?
    }

    /// Starts all of it. `prepare` is called when the tables are there and the workers are not.
    static func start(
        _ settings: Settings, polling: PollingTimes, note: @escaping @Sendable (String) -> Void,
        prepare: (_ connectionString: String) async throws -> Void
    ) async throws -> Installation {
        let directory = try DataDirectory(settings.folder)
        let cluster = try await PrivateCluster(in: directory)
        try await cluster.start()
        do {
            let connectionString = try await cluster.connectionString
            let migrated = try await ChildProcess.run(
                settings.programs + "/attune-migrate", ["up"], environment: environment(["DATABASE_URL": connectionString]))
            guard migrated.exit == .code(0) else { throw CheckError("attune-migrate failed:\n\(migrated.output)") }
            try await prepare(connectionString)

            let ports = try freePorts(settings.workers)
            let proxy = try await Proxy.start(
                configuration: settings.nginxConfiguration, folder: settings.folder + "/nginx", workers: ports, note: note)
            let workers = ports.map { port in
                WorkerProcess(port: port, polling: polling, note: note) { take in
                    var variables = [
                        "DATABASE_URL": connectionString, "ATTUNE_DATA_DIR": settings.folder, "ATTUNE_HOST": "127.0.0.1",
                        "ATTUNE_PORT": String(port), "ATTUNE_SITE_URL": "http://127.0.0.1:\(proxy.port)",
                        "ATTUNE_TRUSTED_PROXIES": "127.0.0.1", "ATTUNE_NEW_ACCOUNTS_PER_HOUR": "1000000", "ATTUNE_LOG_LEVEL": "info",
                    ]
                    variables["ATTUNE_SABOTAGE"] = settings.sabotage
                    return Command(settings.programs + "/attune-api", environment: environment(variables), output: .lines(take))
                }
            }
            return Installation(
                cluster: cluster, workers: workers, proxy: proxy, connectionString: connectionString,
                administratorConnectionString: connectionString.replacing(" user=attune ", with: " user=postgres "))
        } catch {
            await cluster.stop(.immediate)
            throw error
        }
    }

    /// Runs the workers until `stop`.
    func runWorkers() async throws {
        try await withThrowingTaskGroup { group in
            for worker in workers { group.addTask { try await worker.run() } }
            try await group.waitForAll()
        }
    }

    func waitUntilReady() async throws {
        for worker in workers { try await Development.LocalRequest(host: "127.0.0.1", port: worker.port).waitUntilReady() }
    }

    func stop() async {
        for worker in workers { worker.stop() }
        await proxy.stop()
        await cluster.stop(.immediate)
    }

    /// Nothing of ours but the way to find programs: settings of whoever runs this must not reach the workers.
    private static func environment(_ variables: [String: String]) -> [String: String] {
        let names = ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH"]
        return ProcessInfo.processInfo.environment.filter { names.contains($0.key) }.merging(variables) { $1 }
    }

    private static func freePorts(_ count: Int) throws -> [Int] {
        var ports: Set<Int> = []
        while ports.count < count { ports.insert(try LocalPort.findFree()) }
        return ports.sorted()
    }
}
