import Delivery
import Domain
import Events
import Logging
import Postgres
import Rules
import Schema
import ServiceLifecycle
import Status
import Telemetry
import Watch

/// Everything that one `attune-ingest` process runs, put together.
public struct IngestDaemon: Service {
    /// An input that takes events now.
    public struct Listening: Equatable, Sendable {
        public let input: Input
        /// 0 where there is no port.
        public let port: Int
    }

    private let configuration: IngestConfiguration
    private let metrics: PrometheusRegistry
    private let logger: Logger
    private let onListening: @Sendable (Listening) -> Void

    /// - Parameter onListening: called once for each socket when it takes events.
    public init(
        _ configuration: IngestConfiguration, metrics: PrometheusRegistry, logger: Logger,
        onListening: @escaping @Sendable (Listening) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.metrics = metrics
        self.logger = logger
        self.onListening = onListening
    }

    /// Runs until graceful shutdown or cancellation. Does not need the database: without it, events wait in the spool.
    ///
    /// At graceful shutdown the inputs end first, with an answer to all that they have accepted; then what is being stored is
    /// finished. What is left in the spool is stored after the next start.
    public func run() async throws {
        let folders = SpoolFolders(dataFolder: configuration.dataFolder)
        // A predecessor may be on its way out.
        let spool = try await EventSpool.open(
            folder: folders.ingest(port: configuration.httpPort), budget: configuration.spoolBudget, patience: .seconds(5),
            logger: logger)
        defer { spool.close() }
        let database = makeClient("storing", leases: 4)
        // The rows of one transaction are counted by one statement, however many they are.
        let watchDatabase = makeClient("watching", leases: 2, statementTimeout: .seconds(600))
        do {
            try await run(spool, folders: folders, database: database, watchDatabase: watchDatabase)
        } catch {
            await database.close()
            await watchDatabase.close()
            throw error
        }
        await database.close()
        await watchDatabase.close()
    }

    private func makeClient(_ purpose: String, leases: Int, statementTimeout: Duration = .seconds(30)) -> PostgresClient {
        var settings = PostgresClient.Configuration(
            connection: ConnectionSettings(
                connectionString: configuration.connectionString, applicationName: "attune-ingest \(purpose)"))
        settings.readers = 1
        settings.writers = 1
        settings.leases = leases
        settings.statementTimeout = statementTimeout
        return PostgresClient(settings, logger: logger)
    }

    private func run(
        _ spool: EventSpool, folders: SpoolFolders, database: PostgresClient, watchDatabase: PostgresClient
    ) async throws {
        let delivery = EventDelivery(spool, client: database, logger: logger)
        metrics.beforeRendering { delivery.publishMetrics() }
        let health = IngestHealth(spool: spool, delivery: delivery)
        var watchConfiguration = WatchConfiguration()
        watchConfiguration.retentionDays = configuration.retentionDays
        let storing = StoringService(
            migrator: Migrator(client: database, logger: logger), health: health,
            services: [
                delivery,
                SpoolAdoption(folders: folders, client: database, logger: logger),
                Watch(
                    database: watchDatabase, rules: configuration.rules.detections, configuration: watchConfiguration,
                    logger: logger),
            ], logger: logger)
        let inputs = try InputGroup(makeInputs(intake: Intake(spool), health: health))
        // The last one is stopped first.
        let services: [any Service] = [DiskWatch(spool: spool), storing, inputs, Entrance(health: health)]
        try await ServiceGroup(services: services, logger: logger).run()
    }

    private func makeInputs(intake: Intake, health: IngestHealth) throws -> [any Service] {
        let budget = ByteBudget(configuration.requestLimits.bodiesUnderWay)
        let token = try configuration.token ?? IngestToken(dataFolder: configuration.dataFolder)
        func listening(_ input: Input) -> @Sendable (Int) -> Void {
            health.expectInput()
            return { [health, onListening, logger] port in
                health.inputIsListening()
                logger.notice("taking events", metadata: ["input": "\(input.name)", "port": "\(port)"])
                onListening(Listening(input: input, port: port))
            }
        }
        let host = configuration.host
        var inputs: [any Service] = [
            HTTPInput(
                host: host, port: configuration.httpPort, limits: configuration.requestLimits, intake: intake, token: token,
                budget: budget, pages: StatusPages(metrics: metrics) { health.report() }, logger: logger,
                onListening: listening(.http)),
        ]
        func add(_ input: Input, at place: StreamInput.Place?, format: StreamInput.Format, tls: TLSIdentity? = nil) {
            guard let place else { return }
            inputs.append(
                StreamInput(
                    input, at: place, format: format, tls: tls, intake: intake, budget: budget, logger: logger,
                    onListening: listening(input)))
        }
        // Whoever is on this machine may report without a token; from elsewhere nobody may.
        let events = StreamInput.Format.events(token: isLoopback(host) ? nil : token)
        let syslog = StreamInput.Format.syslog(configuration.rules.lines)
        add(.tcp, at: configuration.tcpPort.map { .port(host: host, $0) }, format: events)
        add(.unix, at: configuration.socketPath.map { .unixSocket($0) }, format: .events(token: nil))
        add(.syslogTCP, at: configuration.syslogPort.map { .port(host: host, $0) }, format: syslog)
        if let tls = configuration.tls {
            let identity = try TLSIdentity(certificate: tls.certificate, key: tls.key)
            add(.tcp, at: tls.tcpPort.map { .port(host: host, $0) }, format: events, tls: identity)
            add(.syslogTCP, at: tls.syslogPort.map { .port(host: host, $0) }, format: syslog, tls: identity)
        }
        if let port = configuration.syslogPort {
            inputs.append(
                DatagramInput(
                    host: host, port: port, rules: configuration.rules.lines, intake: intake, logger: logger,
                    onListening: listening(.syslogUDP)))
        }
        if !configuration.files.isEmpty {
            inputs.append(
                FileInput(
                    files: configuration.files.compactMap { FollowedFile($0) },
                    positions: configuration.dataFolder + "/ingest-files", rules: configuration.rules.lines, intake: intake,
                    logger: logger, onListening: listening(.file)))
        }
        return inputs
    }

    private func isLoopback(_ host: String) -> Bool {
        guard let address = IPAddress(host) else { return host == "localhost" }
        return Self.loopback.contains { $0.contains(address) }
    }

    private static let loopback = [IPRange("127.0.0.0/8")!, IPRange("::1")!]
}

/// Inputs that run, and stop, at the same time.
private struct InputGroup: Service {
    let inputs: [any Service]

    init(_ inputs: [any Service]) {
        self.inputs = inputs
    }

    func run() async throws {
        try await withThrowingTaskGroup { group in
            for input in inputs { group.addTask { try await input.run() } }
            // One that cannot listen ends the others. (`waitForAll` would wait for these first.)
            while try await group.next() != nil {}
        }
    }
}

/// Ends the daemon when the disk of its spool has failed: only a new process can find out what is on it.
private struct DiskWatch: Service {
    let spool: EventSpool

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            // Until there is no more to wait for.
            _ = await spool.spool.waitForRecords(from: .max)
            if !Task.isCancelled { throw DiskFailure() }
        }
    }
}

/// Why the daemon has ended: what was not acknowledged may be lost, and nothing else.
struct DiskFailure: Error, CustomStringConvertible {
    var description: String { "the spool's disk fails" }
}

/// Says that the daemon stops, before anything does.
private struct Entrance: Service {
    let health: IngestHealth

    func run() async throws {
        try? await gracefulShutdown()
        health.startDraining()
    }
}
