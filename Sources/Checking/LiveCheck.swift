import Domain
import Foundation
import Logging
import NIOCore
import NIOPosix
import Postgres
import Synchronization

/// One run of the checker: an installation of its own, clients, load and faults, and the oracle that compares.
public struct LiveCheck: Sendable {
    public struct Settings: Sendable {
        /// How long there are load and faults. Starting, settling at the end and judging come on top.
        public var seconds = 60
        public var seed: UInt64 = 1
        public var clients = 150
        public var users = 26
        public var workers = 3
        /// Actions a second, of all clients together.
        public var pace = 20.0
        /// The mean pause between faults, in seconds; nil: none.
        public var faultInterval: Double? = 9
        /// The names of the faults that may happen (`Faults.Kind`); empty: all.
        public var faults: [String] = []
        /// Where `attune-api` and `attune-migrate` are.
        public var programs: String
        /// The path of `deploy/nginx/attune.conf`.
        public var nginxConfiguration: String
        /// What debug builds of `attune-api` are told to do wrong.
        public var sabotage: String?
        /// Gets lines about what happens meanwhile.
        public var note: @Sendable (String) -> Void = { _ in }
        /// Gets what the workers and the proxy log, from `notice` on.
        public var noteLog: @Sendable (String) -> Void = { _ in }

        public init(programs: String, nginxConfiguration: String) {
            self.programs = programs
            self.nginxConfiguration = nginxConfiguration
        }
    }

    public struct Result: Sendable {
        public let findings: [Finding]
        public let summary: String
        /// The last lines of the workers' and the proxy's logs.
        public let log: [String]
        public let exactTransitions: Int
        public let faults: Int
    }

    private let settings: Settings

    public init(_ settings: Settings) {
        self.settings = settings
    }

    /// Runs until the time is over, there is a finding, or the task is cancelled; leaves nothing behind.
    public func run() async throws -> Result {
        let folder = "/tmp/attune-check-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer {
            // For root the cluster may lie elsewhere, behind a link.
            if let elsewhere = try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/postgresql") {
                try? FileManager.default.removeItem(atPath: elsewhere)
            }
            try? FileManager.default.removeItem(atPath: folder)
        }
        // The database's outages are on purpose, and are no news.
        let logger = Logger(label: "checker") { _ in SwiftLogNoOpLogHandler() }
        let polling = PollingTimes()
        let lines = RecentLines(capacity: 80)
        let log = Mutex<CommitLog?>(nil)
        let installation = try await Installation.start(
            .init(
                folder: folder, programs: settings.programs, nginxConfiguration: settings.nginxConfiguration, workers: settings.workers,
                sabotage: settings.sabotage),
            polling: polling,
            note: { line in
                lines.append(line)
                settings.noteLog(line)
            }
        ) { connectionString in
            let opened = CommitLog(connectionString: connectionString, logger: logger)
            try await opened.begin()
            log.withLock { $0 = opened }
        }
        let session = CheckSession(
            settings: settings, installation: installation, log: log.withLock { $0! }, polling: polling, lines: lines, logger: logger)
        do {
            let result = try await session.run()
            await installation.stop()
            return result
        } catch {
            await installation.stop()
            throw error
        }
    }
}

/// A run on an installation that has been started.
private struct CheckSession {
    let settings: LiveCheck.Settings
    let installation: Installation
    let log: CommitLog
    let lines: RecentLines
    let logger: Logger
    let findings = Findings()
    let statistics = Statistics()
    let judge: Judge
    let world: World
    let group: MultiThreadedEventLoopGroup
    let random: SplitMix64

    init(
        settings: LiveCheck.Settings, installation: Installation, log: CommitLog, polling: PollingTimes, lines: RecentLines, logger: Logger
    ) {
        self.settings = settings
        self.lines = lines
        self.installation = installation
        self.log = log
        self.logger = logger
        random = SplitMix64(seed: settings.seed)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let judge = Judge(log: log, findings: findings, statistics: statistics, polling: polling)
        self.judge = judge
        world = World(
            loop: group.next(), port: installation.proxy.port, findings: findings, statistics: statistics,
            report: { judge.hear($0) })
        world.pace = settings.pace
    }

    func run() async throws -> LiveCheck.Result {
        let outcome = try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await installation.runWorkers() }
            tasks.addTask { await judge.run() }
            do {
                try await check()
            } catch {
                tasks.cancelAll()
                for worker in installation.workers { worker.stop() }
                throw error
            }
            for worker in installation.workers { worker.stop() }
            tasks.cancelAll()
            while await tasks.nextResult() != nil {}
            return result()
        }
        await log.close()
        try await group.shutdownGracefully()
        return outcome
    }

    private func check() async throws {
        try await installation.waitUntilReady()
        var setUp = random.fork("set-up")
        let sql = SQLLoad(connectionString: installation.connectionString, world: world, logger: logger)
        try await makeAccounts(&setUp)
        try await sql.makeConversations(&setUp)
        let crowd = Crowd(world: world, count: settings.clients, random: random)
        await crowd.signInAll()
        crowd.start()
        settings.note("\(settings.clients) clients begin")

        let deadline = ContinuousClock.now + .seconds(settings.seconds)
        await withTaskGroup { tasks in
            tasks.addTask { await writeSQL(sql, until: deadline) }
            tasks.addTask { await removeAccounts(sql, until: deadline) }
            tasks.addTask { await watchSilence(crowd, until: deadline) }
            if let interval = settings.faultInterval {
                let faults = Faults(
                    installation: installation, crowd: crowd, sql: sql, world: world, random: random.fork("faults"),
                    only: settings.faults, note: settings.note, logger: logger)
                tasks.addTask { await faults.run(interval: interval, until: deadline, findings) }
            }
        }
        await settle(crowd)
        crowd.stop()
        await sql.close()
    }

    /// Some through the front door, as everybody does.
    private func makeAccounts(_ random: inout SplitMix64) async throws {
        let api = API(port: installation.proxy.port)
        var accounts: [World.Account] = []
        for index in 0..<settings.users {
            let name = Names.random(&random)
            var account: World.Account?
            for _ in 0..<20 where account == nil {
                account = await api.signUp(email: "user\(index)@example.org", password: "password-\(index)", name: name)
                if account == nil { try await Task.sleep(for: .milliseconds(200)) }
            }
            guard let account else { throw CheckError("cannot make an account") }
            accounts.append(account)
        }
        let made = accounts
        try await world.loop.submit { [world] in world.accounts = made }.get()
    }

    private var isOver: Bool { !findings.isEmpty || Task.isCancelled }

    private func writeSQL(_ sql: SQLLoad, until deadline: ContinuousClock.Instant) async {
        var random = random.fork("sql")
        var rounds = 0
        while ContinuousClock.now < deadline, !isOver {
            await sql.actAtRandom(&random)
            rounds += 1
            if rounds % 100 == 60 { await sql.writeInBulk(&random, count: 300) }
            if rounds % 100 == 99 { await sql.tidy() }
            try? await Task.sleep(for: .milliseconds(Int64.random(in: 20...400, using: &random)))
        }
    }

    /// Now and then an account goes, and another one comes.
    private func removeAccounts(_ sql: SQLLoad, until deadline: ContinuousClock.Instant) async {
        var random = random.fork("removals")
        var index = 0
        while ContinuousClock.now < deadline, !isOver {
            try? await Task.sleep(for: .seconds(Double.random(in: 6...20, using: &random)))
            guard ContinuousClock.now < deadline, let living = try? await world.loop.submit({ [world] in world.livingAccounts }).get()
            else { return }
            if living.count > settings.users / 2, let victim = random.pick(living), await sql.remove(victim) {
                world.loop.execute { [world] in
                    world.identityLosses.acknowledge(.removal(victim.id))
                    world.markRemoved(victim.id)
                }
            }
            index += 1
            let name = Names.random(&random)
            let made = await API(port: world.port).signUp(email: "later\(index)@example.org", password: "password-\(index)", name: name)
            if let made { world.loop.execute { [world] in world.accounts.append(made) } }
        }
    }

    /// A client that hears of nothing may have been forgotten.
    private func watchSilence(_ crowd: Crowd, until deadline: ContinuousClock.Instant) async {
        while ContinuousClock.now < deadline, !isOver {
            try? await Task.sleep(for: .seconds(5))
            await judge.judgeSilence(await crowd.listeners(since: .seconds(25)), patience: .seconds(20))
            await crowd.findForgotten(after: .seconds(40))
        }
    }

    /// Load and faults are over: everybody has to come to the final state, soon.
    private func settle(_ crowd: Crowd) async {
        guard !isOver else { return }
        settings.note("load and faults are over; waiting for all clients to come to the same")
        await crowd.becomeQuiet()
        try? await Task.sleep(for: .seconds(3))
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline, !isOver {
            if await crowd.isComplete, await judge.isIdle { break }
            try? await Task.sleep(for: .milliseconds(200))
        }
        await crowd.findIncomplete()
        await judge.judgeSilence(await crowd.listeners(since: .zero), patience: .seconds(1))
        await judge.closeLedger()
    }

    private func result() -> LiveCheck.Result {
        let figures = statistics.current
        return LiveCheck.Result(
            findings: findings.list, summary: Summary(settings, figures, findings.list.count).text, log: lines.list,
            exactTransitions: figures.exactTransitions, faults: figures.faults.values.reduce(0, +))
    }
}
