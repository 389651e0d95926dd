import Domain
import Foundation
import Logging
import NIOCore
import Postgres

/// What goes wrong in a run, one thing after the other, drawn from the seed.
final class Faults: Sendable {
    /// Names in the summary say what happens.
    enum Kind: String, CaseIterable {
        case killWorker = "worker killed"
        case drainWorker = "worker told to stop"
        case pauseWorker = "worker paused"
        case terminateFeeds = "replication backends terminated"
        case terminateBackends = "backends terminated"
        case pauseBackends = "backends paused"
        case crashDatabase = "PostgreSQL stopped in immediate mode"
        case holdTransaction = "replication backends terminated, new ones delayed"
        case holdCommits = "commits held by a missing standby"
        case cutConnections = "connections cut"
        case halfOpenConnections = "connections half-open"
        case slowReaders = "slow readers"
        case moveClients = "clients moved"

        /// How often, beside the others.
        var weight: Double {
            switch self {
            case .holdCommits, .killWorker, .terminateFeeds: 1.5
            case .crashDatabase, .drainWorker, .moveClients: 0.7
            default: 1
            }
        }
    }

    private let installation: Installation
    private let crowd: Crowd
    private let sql: SQLLoad
    private let world: World
    private let random: SplitMix64
    private let note: @Sendable (String) -> Void
    private let administrator: PostgresClient
    /// Those that may happen.
    private let kinds: [Kind]

    /// - Parameter only: the names of the cases that may happen; empty: all.
    init(
        installation: Installation, crowd: Crowd, sql: SQLLoad, world: World, random: SplitMix64, only: [String],
        note: @escaping @Sendable (String) -> Void, logger: Logger
    ) {
        let chosen = Kind.allCases.filter { only.contains(String(describing: $0)) }
        kinds = chosen.isEmpty ? Kind.allCases : chosen
        self.installation = installation
        self.crowd = crowd
        self.sql = sql
        self.world = world
        self.random = random
        self.note = note
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(
                connectionString: installation.administratorConnectionString, applicationName: "checker faults"))
        configuration.readers = 1
        configuration.writers = 1
        administrator = PostgresClient(configuration, logger: logger)
    }

    /// Makes faults until the deadline, or until there is a finding.
    func run(interval: Double, until deadline: ContinuousClock.Instant, _ findings: Findings) async {
        var random = random
        while findings.isEmpty, !Task.isCancelled {
            let pause = Duration.seconds(Double.random(in: 0.4...1.6, using: &random) * interval)
            // The last fault leaves some time to see what comes of it.
            guard ContinuousClock.now + pause < deadline else { break }
            do { try await Task.sleep(for: pause) } catch { break }
            var kinds = [pick(&random)]
            let second = pick(&random)
            // Held commits come alone: a snapshot of a worker that has lost its feed meanwhile sees later commits and not the held
            // ones, so that there is no moment to compare it with.
            if random.chance(0.2), !kinds.contains(.holdCommits), second != .holdCommits { kinds.append(second) }
            await markTrouble()
            await withTaskGroup { tasks in
                for kind in kinds {
                    let random = random.fork(kind.rawValue)
                    tasks.addTask { await self.cause(kind, random) }
                }
            }
            await markTrouble()
        }
        await administrator.close()
    }

    private func cause(_ kind: Kind, _ random: SplitMix64) async {
        note("fault: \(kind.rawValue)")
        var random = random
        do {
            try await make(kind, &random)
            world.statistics.count { $0.faults[kind.rawValue, default: 0] += 1 }
        } catch {
            // For instance what another fault has stopped already.
            note("fault failed: \(kind.rawValue): \(error)")
        }
    }

    private func pick(_ random: inout SplitMix64) -> Kind {
        var left = Double.random(in: 0..<kinds.reduce(0) { $0 + $1.weight }, using: &random)
        for kind in kinds {
            left -= kind.weight
            if left < 0 { return kind }
        }
        return kinds[0]
    }

    private func markTrouble() async {
        _ = try? await world.loop.submit { [world] in world.identityLosses.lastFault = .now }.get()
    }

    private func make(_ kind: Kind, _ random: inout SplitMix64) async throws {
        let worker = random.pick(installation.workers)!
        let some = Int.random(in: 3...20, using: &random)
        let choice = random.fork("choice")
        let shortly = Duration.seconds(Double.random(in: 0.1...3, using: &random))
        let seconds = Double.random(in: 1...6, using: &random)
        switch kind {
        case .killWorker: worker.send(SIGKILL)
        case .drainWorker: worker.send(SIGTERM)
        case .pauseWorker: try await pause([worker.processID].compactMap { $0 }, for: shortly)
        case .terminateFeeds: _ = try await administrator.write(Self.terminateFeeds())
        case .terminateBackends: _ = try await administrator.write(Self.terminateBackends(some))
        case .pauseBackends: try await pause(backends(count: Int.random(in: 1...3, using: &random)), for: shortly)
        case .crashDatabase:
            await installation.cluster.stop(.immediate)
            try await installation.cluster.start()
        case .holdTransaction:
            async let held: Void = sql.holdTransaction(for: .seconds(seconds))
            try await Task.sleep(for: .milliseconds(100))
            _ = try await administrator.write(Self.terminateFeeds())
            await held
        case .holdCommits: try await holdCommits(for: shortly)
        case .cutConnections: await crowd.withSome(some, choice) { $0.reconnect(saysGoodBye: false) }
        case .halfOpenConnections: await crowd.withSome(some, choice) { $0.impair(.halfOpen, for: seconds) }
        case .slowReaders: await crowd.withSome(some, choice) { $0.impair(.slow, for: seconds) }
        case .moveClients: await crowd.withSome(3 * some, choice) { $0.reconnect(saysGoodBye: true) }
        }
    }

    /// Stops processes and lets them go on, as a machine does that is short of processors.
    private func pause(_ processes: [pid_t], for duration: Duration) async throws {
        for process in processes { kill(process, SIGSTOP) }
        try? await Task.sleep(for: duration)
        for process in processes { kill(process, SIGCONT) }
    }

    /// Of workers: those that stream the log to them and those that run their statements.
    private func backends(count: Int) async throws -> [pid_t] {
        try await administrator.write(Self.backends(count)).map { pid_t(try $0.decode(0, as: Int.self)) }
    }

    /// Commits are in the log, and decoded, but not visible: they wait for a standby that does not exist.
    private func holdCommits(for duration: Duration) async throws {
        try await setStandbys("'nobody'")
        try? await Task.sleep(for: duration)
        // Nobody could write any more.
        while true {
            do {
                return try await setStandbys("''")
            } catch {
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    private func setStandbys(_ names: String) async throws {
        try await administrator.withConnection { connection in
            try await connection.runScript("ALTER SYSTEM SET synchronous_standby_names = \(names)", name: "faults.standbys")
            try await connection.runScript("SELECT pg_reload_conf()", name: "faults.reload")
        }
    }

    private static let terminateFeeds = Statement(
        "faults.terminate_feeds",
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication WHERE application_name LIKE 'attune-api%'")
    private static let terminateBackends = Statement(
        "faults.terminate_backends",
        """
        SELECT count(pg_terminate_backend(pid))
        FROM (
            SELECT pid
            FROM pg_stat_activity
            WHERE application_name LIKE 'attune-api%' AND backend_type = 'client backend'
            ORDER BY random()
            LIMIT $1
        ) AS chosen
        """)
    private static let backends = Statement(
        "faults.backends",
        """
        SELECT pid
        FROM pg_stat_activity
        WHERE application_name LIKE 'attune-api%' AND backend_type IN ('client backend', 'walsender')
        ORDER BY random()
        LIMIT $1
        """)
}
