import Foundation
import Logging
import Postgres

/// A PostgreSQL cluster of our own in the data folder, for development and for small installations.
///
/// It listens on a Unix socket and on a loopback port that is free when it first starts. Everybody signs in with a
/// password (SCRAM), since on a shared machine neither the loopback address nor the socket says who connects, and the
/// server may run as another user than its clients; the passwords are made here and lie in the data folder, readable by
/// its owner alone, in libpq's own format.
///
/// PostgreSQL refuses to run as root: for root it runs as the user `postgres`.
public actor PrivateCluster {
    public enum ShutdownMode: Sendable {
        /// Ends all sessions and writes a checkpoint.
        case fast
        /// As after a power cut: recovers at the next start.
        case immediate

        fileprivate var signal: Int32 { self == .fast ? SIGINT : SIGQUIT }
    }

    /// The database and its owner.
    private static let databaseName = "attune"
    private static let administrator = "postgres"

    private let directory: DataDirectory
    private let report: @Sendable (String) -> Void
    private let files: ClusterFiles
    private let serverUser: String?
    private var programs: PostgresPrograms?
    private var child: ChildProcess?

    /// - Parameter report: gets a line about each thing that the operator should know.
    public init(in directory: DataDirectory, report: @escaping @Sendable (String) -> Void = { _ in }) async throws {
        self.directory = directory
        self.report = report
        serverUser = geteuid() == 0 ? "postgres" : nil
        if let serverUser, getpwnam(serverUser) == nil {
            throw DevelopmentError(
                "there is no user 'postgres' to run PostgreSQL as, which refuses to run as root: install postgresql")
        }
        files = try await ClusterFiles.prepare(in: directory.path, serverUser: serverUser, report: report)
    }

    /// What libpq needs to reach the database as its owner. Holds no password, but the path of the file with it.
    public var connectionString: String {
        get throws { try Self.connectionString(dataDirectory: directory.path) }
    }

    /// The same, from the files of a cluster that another process has started.
    public static func connectionString(dataDirectory: String) throws -> String {
        let files = try ClusterFiles(dataDirectory: dataDirectory)
        return try files.connectionString(user: databaseName, database: databaseName)
    }

    /// Starts the server, making the cluster if there is none, and waits until it takes connections and the database is
    /// there.
    public func start() async throws {
        let version = DataDirectory.firstLine(of: files.data + "/PG_VERSION").flatMap { Int($0) }
        let programs = try await PostgresPrograms.find(version: version)
        self.programs = programs
        if version == nil { try await makeCluster(programs) }
        try await waitForPredecessor()
        try await startServer(programs)
        do {
            try await makeDatabase()
        } catch {
            await stop(.fast)
            throw error
        }
    }

    /// Keeps the server running: starts it again if it ends by itself. Returns when the task is cancelled, with the server
    /// still running.
    public func keepRunning() async throws {
        while let child, let programs, let exit = await child.waitUnlessCancelled() {
            // Stopped on purpose in the meantime.
            guard self.child === child else { return }
            report("PostgreSQL ended by itself (\(exit)); starting it again. Its log: \(files.log)")
            try await startServer(programs)
        }
    }

    /// Stops the server and waits until it has stopped; after 30 seconds it is killed.
    public func stop(_ mode: ShutdownMode = .fast) async {
        guard let child else { return }
        self.child = nil
        child.stop(mode.signal, grace: .seconds(30))
        _ = await child.wait()
        files.removeSocketDirectory()
    }

    // MARK: Making

    private func makeCluster(_ programs: PostgresPrograms) async throws {
        report("making a PostgreSQL cluster in \(files.data)")
        let passwords = try files.makePasswords(users: [Self.administrator, Self.databaseName])
        // initdb reads the password as the server's user.
        let passwordFile = files.directory + "/initdb-password"
        try files.writeSecret(passwords[0] + "\n", to: passwordFile)
        defer { unlink(passwordFile) }
        if let serverUser { try files.give(passwordFile, to: serverUser) }

        // Renamed when it is complete, so that one that was interrupted is made again.
        let unfinished = files.data + ".unfinished"
        try? FileManager.default.removeItem(atPath: unfinished)
        let result = try await ChildProcess.run(
            programs.initdb,
            [
                "--pgdata", unfinished, "--username", Self.administrator, "--pwfile", passwordFile, "--auth", "scram-sha-256",
                "--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums", "--no-instructions",
            ], user: serverUser)
        guard result.exit == .code(0) else { throw DevelopmentError("initdb failed (\(result.exit)):\n\(result.output)") }
        try files.append(Self.configuration, to: unfinished + "/postgresql.conf")
        guard rename(unfinished, files.data) == 0 else { throw SystemError("rename \(unfinished)") }
    }

    /// Ours to begin with; from then on it is the operator's.
    private static let configuration = """

        # Attune
        wal_level = logical               # the change feed
        max_replication_slots = 64        # one for each worker
        max_wal_senders = 64
        max_slot_wal_keep_size = 1GB      # a worker that falls further behind starts over
        max_connections = 200

        """

    /// The role and the database; whatever of it is there already stays.
    private func makeDatabase() async throws {
        let role = Self.databaseName
        let password = try files.password(of: role)
        let connectionString = try files.connectionString(user: Self.administrator, database: "postgres")
        let client = PostgresClient(
            .init(connection: ConnectionSettings(connectionString: connectionString, applicationName: "attune dev")),
            logger: Logger(label: "cluster"))
        do {
            let exists = try await client.read(Self.existing(role))
            let hasRole: Bool = try exists[0].decode(0)
            let hasDatabase: Bool = try exists[0].decode(1)
            try await client.withConnection { connection in
                // Hexadecimal digits need no quoting. REPLICATION: each worker reads the log through a slot.
                try await connection.runScript(
                    "\(hasRole ? "ALTER" : "CREATE") ROLE \(role) LOGIN REPLICATION PASSWORD '\(password)'", name: "cluster.role")
                if !hasDatabase {
                    try await connection.runScript("CREATE DATABASE \(role) OWNER \(role)", name: "cluster.database")
                }
            }
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private static let existing = Statement(
        "cluster.existing",
        """
        SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (SELECT FROM pg_database WHERE datname = $1)
        """)

    // MARK: Running

    /// The server of a run that was killed gets its signal with its parent's death, and needs a moment to stop.
    private func waitForPredecessor() async throws {
        var hasReported = false
        let deadline = ContinuousClock.now + .seconds(30)
        while let processID = files.runningServer() {
            guard ContinuousClock.now < deadline else {
                throw DevelopmentError("PostgreSQL (process \(processID)) runs on \(files.data) already; stop it first")
            }
            if !hasReported {
                report("waiting for the PostgreSQL of an earlier run (process \(processID)) to stop")
                hasReported = true
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        // PostgreSQL would believe the file if its process id now belonged to some other process of this user.
        unlink(files.data + "/postmaster.pid")
    }

    private func startServer(_ programs: PostgresPrograms) async throws {
        try files.makeSocketDirectory(serverUser: serverUser)
        files.rotateLog()
        // More than one attempt: the port can be taken in the meantime, and the sessions of a server that was killed hold
        // its shared memory until they notice.
        for _ in 0..<8 {
            let port = try files.choosePort()
            let child = try await ChildProcess.start(
                Command(
                    programs.postgres,
                    [
                        "-D", files.data, "-c", "port=\(port)", "-c", "listen_addresses=127.0.0.1",
                        "-c", "unix_socket_directories=\(files.socketDirectory)",
                    ], user: serverUser, deathSignal: .interrupt, output: .file(files.log)))
            self.child = child
            if try await waitUntilReady(child) { return }
            self.child = nil
            try await Task.sleep(for: .milliseconds(250))
        }
        throw DevelopmentError("PostgreSQL does not start; the end of \(files.log):\n\(files.endOfLog())")
    }

    /// False when the server has ended instead.
    private func waitUntilReady(_ child: ChildProcess) async throws -> Bool {
        while !files.isReady(processID: child.processID) {
            if child.hasEnded { return false }
            do {
                try await Task.sleep(for: .milliseconds(20))
            } catch {
                await stop(.fast)
                throw error
            }
        }
        return true
    }
}
