import Accounts
import Development
import Foundation
import Logging
import Postgres
import Schema
import Settings

/// Everything that `attune dev` runs.
struct DevelopmentStack: Sendable {
    let settings: OperatorSettings
    /// What was given as flags, by the variables' names.
    let overrides: [String: String]
    let isDemo: Bool

    /// Runs until the task is cancelled, and returns when all has stopped: the workers first, then the cluster.
    func run() async throws {
        for port in ports { try await checkPort(port) }
        let directory = try DataDirectory(settings.dataDirectory)
        if let databaseURL = settings.databaseURL {
            return try await serve(databaseURL.revealed)
        }
        let cluster = try await PrivateCluster(in: directory, report: Terminal.note)
        try await cluster.start()
        do {
            let connectionString = try await cluster.connectionString
            try await withThrowingTaskGroup { group in
                group.addTask { try await cluster.keepRunning() }
                group.addTask { try await serve(connectionString) }
                try await group.next()
                group.cancelAll()
                try await group.waitForAll()
            }
        } catch {
            await cluster.stop()
            throw error
        }
        await cluster.stop()
    }

    private var ports: Range<Int> { settings.port..<settings.port + settings.workers }

    private var siteURL: String { settings.siteURL ?? settings.localURL }

    /// A worker of a run that was killed gets its signal with its parent's death, and needs a moment to let go of its port.
    private func checkPort(_ port: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(2)
        while true {
            do {
                return try LocalPort.check(host: settings.host, port: port)
            } catch {
                guard ContinuousClock.now < deadline else {
                    throw DevelopmentError("\(error); choose another with --port or \(SettingCatalog.port.name)")
                }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: On a database

    private func serve(_ connectionString: String) async throws {
        try SiteFile(dataDirectory: settings.dataDirectory).write(siteURL)
        try await Database.withClient(connectionString) { client in
            let applied = try await Migrator(client: client, logger: Logger(label: "migrate")).up()
            if !applied.isEmpty { Terminal.note("applied \(applied.count) migrations, up to \(applied.last!.fileName)") }
            let accounts = try Database.accounts(on: client, settings: settings, siteURL: siteURL)
            try await makeAdministrator(accounts)
            try await runWorkers(connectionString, accounts: accounts)
        }
    }

    private func makeAdministrator(_ accounts: Accounts) async throws {
        guard let text = settings.adminEmail else { return }
        let email = try EmailAddress(text, path: SettingCatalog.adminEmail.name)
        if let user = try await accounts.user(email) {
            if user.role != .admin { try await accounts.setRole(.admin, of: user.id) }
            return
        }
        guard let password = settings.adminPassword?.revealed else {
            throw DevelopmentError(
                "there is no account \(email.text) to promote; set \(SettingCatalog.adminPassword.name) to make it")
        }
        _ = try await accounts.ensureAdministrator(
            email: email, name: email.defaultName,
            password: .init(new: password, path: SettingCatalog.adminPassword.name))
    }

    private func runWorkers(_ connectionString: String, accounts: Accounts) async throws {
        let workers = try ports.map { port in
            SupervisedProcess(name: "api:\(port)", command: try command(port: port, connectionString), report: Terminal.note)
        }
        try await withThrowingTaskGroup { group in
            for worker in workers { group.addTask { try await worker.run() } }
            group.addTask {
                for (worker, port) in zip(workers, ports) {
                    try await LocalRequest(host: settings.host, port: port).waitUntilReady()
                    worker.markReady()
                }
                if isDemo {
                    try await Demo(accounts: accounts, api: LocalRequest(host: settings.host, port: settings.port)).seed()
                }
                Terminal.print("Attune is ready: \(settings.localURL)")
            }
            do {
                try await group.waitForAll()
            } catch {
                // The first error is the reason; what follows from stopping the others is not.
                group.cancelAll()
                while await group.nextResult() != nil {}
                throw error
            }
        }
    }

    private func command(port: Int, _ connectionString: String) throws -> Command {
        var environment = ProcessInfo.processInfo.environment.merging(overrides) { $1 }
        // The workers' database is given below, and the administrator's password is not theirs to know.
        let password = SettingCatalog.adminPassword.name
        for name in [SettingCatalog.databaseURL.name + "_FILE", password, password + "_FILE"] { environment[name] = nil }
        environment[SettingCatalog.databaseURL.name] = connectionString
        environment[SettingCatalog.dataDirectory.name] = settings.dataDirectory
        environment[SettingCatalog.host.name] = settings.host
        environment[SettingCatalog.port.name] = String(port)
        environment[SettingCatalog.siteURL.name] = siteURL
        let executable = try besideUs("attune-api")
        return Command(executable, environment: environment, output: .lines { Terminal.note("api:\(port) | \($0)") })
    }

    /// The path of an executable that was built with this one.
    private func besideUs(_ name: String) throws -> String {
        let ours = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let path = ours.deletingLastPathComponent().appendingPathComponent(name).path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw DevelopmentError("\(path) is missing; build it: swift build --product \(name)")
        }
        return path
    }
}
