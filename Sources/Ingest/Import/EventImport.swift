import Delivery
import Foundation
import Logging
import Postgres
import Rules
import Schema
import Synchronization

/// Stores the events of a file, through a spool of its own.
public struct EventImport: Sendable {
    public struct Configuration: Sendable {
        public var format = ImportFormat.events
        /// Of events that name none. Nil: `import:` and the file's name.
        public var source: String?
        public var rules = RuleBook.standard
        public var dataFolder: String
        public var spoolBudget = 1 << 30
        /// libpq's words.
        public var connectionString: String

        public init(dataFolder: String, connectionString: String) {
            self.dataFolder = dataFolder
            self.connectionString = connectionString
        }
    }

    public struct Progress: Sendable {
        /// Of the file.
        public var bytesRead = 0
        /// Nil when it is not known.
        public var bytesInFile: Int?
        public var ledger: LedgerCounts
    }

    private let configuration: Configuration
    private let logger: Logger

    public init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Reads the file to its end, and returns when all of it is stored. When PostgreSQL goes away meanwhile, it waits.
    ///
    /// What has been read when the process is killed is taken over by a daemon with the same data folder. Importing the file
    /// again does no harm.
    ///
    /// - Parameters:
    ///   - path: of the file; `-`: standard input.
    ///   - report: called now and then.
    /// - Throws: when the file cannot be read, when PostgreSQL cannot be reached at the beginning, or has another schema.
    public func run(path: String, report: @escaping @Sendable (Progress) -> Void) async throws -> LedgerCounts {
        let file = try ImportedFile(path: path)
        let database = PostgresClient(
            PostgresClient.Configuration(
                connection: ConnectionSettings(
                    connectionString: configuration.connectionString, applicationName: "attune-ingest import")),
            logger: logger)
        do {
            try await Migrator(client: database, logger: logger).requireCurrent()
            let counts = try await run(file, database: database, report: report)
            await database.close()
            return counts
        } catch {
            await database.close()
            throw error
        }
    }

    private func run(
        _ file: ImportedFile, database: PostgresClient, report: @escaping @Sendable (Progress) -> Void
    ) async throws -> LedgerCounts {
        let spool = try EventSpool(
            folder: SpoolFolders(dataFolder: configuration.dataFolder).newImport(), budget: configuration.spoolBudget,
            logger: logger)
        defer { spool.close() }
        let bytesRead = Atomic(0)
        let progress = { @Sendable [ledger = spool.ledger] in
            Progress(bytesRead: bytesRead.load(ordering: .relaxed), bytesInFile: file.size, ledger: ledger.snapshot().total)
        }
        try await withThrowingTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    report(progress())
                    try? await Task.sleep(for: .milliseconds(200))
                }
            }
            try await store(file, through: spool, database: database, bytesRead: bytesRead)
            group.cancelAll()
        }
        report(progress())
        let counts = spool.ledger.snapshot().total
        spool.close()
        // Where there are dead letters somebody should look at them.
        if counts.deadLettered == 0 { try? FileManager.default.removeItem(atPath: spool.folder) }
        return counts
    }

    private func store(
        _ file: ImportedFile, through spool: EventSpool, database: PostgresClient, bytesRead: borrowing Atomic<Int>
    ) async throws {
        let delivery = EventDelivery(spool, client: database, logger: logger)
        // While it is read: the spool may be smaller than the file.
        try await withThrowingTaskGroup { group in
            group.addTask { try await delivery.run() }
            try await read(file, into: Intake(spool), bytesRead: bytesRead)
            while spool.ledger.snapshot().total.spooled > 0 { try await Task.sleep(for: .milliseconds(50)) }
            group.cancelAll()
        }
        // The ledger has counted; PostgreSQL knows.
        try await delivery.deliverAll()
    }

    private static let pieceSize = 1 << 20

    private func read(_ file: ImportedFile, into intake: Intake, bytesRead: borrowing Atomic<Int>) async throws {
        var lines = ImportedLines(
            name: file.name, source: configuration.source ?? "import:\(file.name)", format: configuration.format,
            rules: configuration.rules.lines)
        while true {
            let piece = try await file.read(Self.pieceSize)
            var batch = IntakeBatch()
            if piece.isEmpty { lines.finish(into: &batch) } else { lines.take(piece, into: &batch) }
            try await accept(batch, intake)
            if piece.isEmpty { return }
            bytesRead.wrappingAdd(piece.count, ordering: .relaxed)
        }
    }

    /// Waits while there is no room on the disk.
    private func accept(_ batch: IntakeBatch, _ intake: Intake) async throws {
        guard !batch.isEmpty else { return }
        while true {
            do throws(IntakeError) {
                _ = try await intake.accept(batch)
                return
            } catch .full {
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
