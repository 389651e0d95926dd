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

    /// Runs until the task is cancelled, and returns when all has stopped: the daemons first, then the cluster.
    func run() async throws {
        for port in ports + settings.ingest.ports + [settings.metricsPort] { try await checkPort(port) }
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
                    let (option, setting) = option(forPort: port)
                    throw DevelopmentError("\(error); choose another with \(option) or \(setting)")
                }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// By what a port can be changed: the option and the setting.
    private func option(forPort port: Int) -> (String, String) {
        switch port {
        case settings.ingest.httpPort: ("--ingest-http-port", SettingCatalog.ingestHTTPPort.name)
        case settings.ingest.tcpPort: ("--ingest-tcp-port", SettingCatalog.ingestTCPPort.name)
        case settings.ingest.syslogPort: ("--ingest-syslog-port", SettingCatalog.ingestSyslogPort.name)
        case settings.ingest.tls?.tcpPort: ("--ingest-tls-tcp-port", SettingCatalog.ingestTLSTCPPort.name)
        case settings.ingest.tls?.syslogPort: ("--ingest-tls-syslog-port", SettingCatalog.ingestTLSSyslogPort.name)
        case settings.metricsPort: ("--metrics-port", SettingCatalog.metricsPort.name)
        default: ("--port", SettingCatalog.port.name)
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
            let demo = isDemo ? Demo(accounts: accounts, site: settings.localURL) : nil
            try await demo?.addHistory(to: client)
            try await runDaemons(connectionString, demo: demo)
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

    private func runDaemons(_ connectionString: String, demo: Demo?) async throws {
        let environment = daemonEnvironment(connectionString)
        var daemons = try ports.map { port in
            let worker = [SettingCatalog.port.name: String(port), SettingCatalog.siteURL.name: siteURL]
            return try daemon("attune-api", name: "api:\(port)", port: port, environment.merging(worker) { $1 })
        }
        daemons.append(try daemon("attune-ingest", name: "ingest", port: settings.ingest.httpPort, environment))
        daemons.append(try daemon("attune-metrics", name: "metrics", port: settings.metricsPort, environment))
        try await withThrowingTaskGroup { [daemons] group in
            for (process, _) in daemons { group.addTask { try await process.run() } }
            group.addTask {
                for (process, port) in daemons {
                    try await LocalRequest(host: settings.host, port: port).waitUntilReady()
                    process.markReady()
                }
                try await demo?.talk(over: LocalRequest(host: settings.host, port: settings.port))
                Terminal.print("Attune is ready: \(settings.localURL)")
            }
            do {
                // As soon as one fails. (`waitForAll` would wait for the others first.)
                while try await group.next() != nil {}
            } catch {
                // The first error is the reason; what follows from stopping the others is not.
                group.cancelAll()
                while await group.nextResult() != nil {}
                throw error
            }
        }
    }

    /// What all daemons are given: everything of ours but what is not theirs to know.
    private func daemonEnvironment(_ connectionString: String) -> [String: String] {
        var environment = ProcessInfo.processInfo.environment.merging(overrides) { $1 }
        let password = SettingCatalog.adminPassword.name
        for name in [SettingCatalog.databaseURL.name + "_FILE", password, password + "_FILE"] { environment[name] = nil }
        environment[SettingCatalog.databaseURL.name] = connectionString
        environment[SettingCatalog.dataDirectory.name] = settings.dataDirectory
        environment[SettingCatalog.host.name] = settings.host
        return environment
    }

    /// - Parameters:
    ///   - executable: was built with this one.
    ///   - port: has its health page.
    private func daemon(
        _ executable: String, name: String, port: Int, _ environment: [String: String]
    ) throws -> (process: SupervisedProcess, port: Int) {
        let command = Command(
            try besideUs(executable), environment: environment, output: .lines { Terminal.note("\(name) | \($0)") })
        return (SupervisedProcess(name: name, command: command, report: Terminal.note), port)
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
