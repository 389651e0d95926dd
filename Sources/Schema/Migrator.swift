import Logging
import Postgres

/// Applies migrations to a database, and compares what it has with what this program knows.
public struct Migrator: Sendable {
    private let client: PostgresClient
    private let migrations: [Migration]
    private let logger: Logger

    /// Key of the session-level advisory lock that a runner holds: "attunemg" in ASCII. Two runners started together
    /// apply each file once, because the second one waits and then finds nothing to do.
    public static let lockKey: Int64 = 0x6174_7475_6e65_6d67

    public init(client: PostgresClient, migrations: [Migration] = Migration.all, logger: Logger) {
        self.client = client
        self.migrations = migrations
        self.logger = logger
    }

    /// Applies what is pending, in order, each file in one transaction with its row in `schema_migrations`.
    ///
    /// - Returns: what this call has applied; nothing if the database is current.
    /// - Throws: `SchemaError` if the history was edited or is not ours, and then nothing was applied; `MigrationFailed`
    ///   for a file that failed, and then those before it stay applied.
    public func up() async throws -> [Migration] {
        try await client.withConnection { connection in
            try await withLock(on: connection) {
                try await connection.runScript(Self.createBookkeeping, name: "schema.createBookkeeping")
                let status = try await status(on: connection)
                try status.requireIntactHistory()
                for migration in status.pending {
                    try await apply(migration, on: connection)
                    logger.info("applied a migration", metadata: ["migration": "\(migration.fileName)"])
                }
                return status.pending
            }
        }
    }

    /// Compares without changing anything; a database without any migration has everything pending.
    public func status() async throws -> SchemaStatus {
        try await client.withConnection { try await status(on: $0) }
    }

    /// What each daemon calls at its start: throws a `SchemaError` unless the database has exactly the schema that this
    /// program was built for.
    public func requireCurrent() async throws {
        try await status().requireCurrent()
    }

    private func apply(_ migration: Migration, on connection: LeasedConnection) async throws {
        let record = Self.record(migration.number, migration.name, migration.checksum)
        do {
            if migration.runsInTransaction {
                try await connection.withTransaction { transaction in
                    try await transaction.runScript(migration.sql, name: migration.fileName)
                    _ = try await transaction.execute(record)
                }
            } else {
                try await connection.runScript(migration.sql, name: migration.fileName)
                _ = try await connection.execute(record)
            }
        } catch let error as PostgresError {
            throw MigrationFailed(fileName: migration.fileName, reason: error)
        }
    }

    private func status(on connection: LeasedConnection) async throws -> SchemaStatus {
        guard try await connection.execute(Self.hasBookkeeping()).first?.decode(0, as: Bool.self) == true else {
            return SchemaStatus(applied: [], known: migrations)
        }
        let applied = try await connection.execute(Self.readBookkeeping()).map { row in
            try AppliedMigration(
                number: row.decode(0), name: row.decode(1), checksum: row.decode(2), appliedAt: row.decode(3))
        }
        return SchemaStatus(applied: applied, known: migrations)
    }

    private func withLock<Value: Sendable>(
        on connection: LeasedConnection, _ body: () async throws -> Value
    ) async throws -> Value {
        // Asked for again and again, since waiting inside `pg_advisory_lock` would hold a snapshot, for whose end the
        // other runner's CREATE INDEX CONCURRENTLY would wait in turn.
        while try await connection.execute(Self.tryLock(Self.lockKey)).first?.decode(0, as: Bool.self) != true {
            try await Task.sleep(for: .milliseconds(100))
        }
        let outcome: Result<Value, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        // In a task of its own, because a cancelled one can run nothing. If it fails the session is gone, and its locks.
        await Task { _ = try? await connection.execute(Self.unlock(Self.lockKey)) }.value
        return try outcome.get()
    }
}

/// A migration that PostgreSQL refused. It has left no trace, unless it runs without a transaction.
public struct MigrationFailed: Error, CustomStringConvertible, CustomDebugStringConvertible {
    public let fileName: String
    public let reason: PostgresError

    public var description: String { "\(fileName) failed: \(reason)" }
    /// With the server's words, which can contain data.
    public var debugDescription: String { "\(fileName) failed: \(reason.debugDescription)" }
}

extension Migrator {
    private static let tryLock = Statement("schema.tryLock", "SELECT pg_try_advisory_lock($1)")
    private static let unlock = Statement("schema.unlock", "SELECT pg_advisory_unlock($1)")

    private static let createBookkeeping = """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            number     integer     NOT NULL,
            name       text        NOT NULL,
            -- SHA-256 of the file's text, in hexadecimal digits.
            checksum   text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT schema_migrations_pkey PRIMARY KEY (number)
        )
        """

    private static let hasBookkeeping = Statement(
        "schema.hasBookkeeping", "SELECT to_regclass('schema_migrations') IS NOT NULL")

    private static let readBookkeeping = Statement(
        "schema.readBookkeeping",
        """
        SELECT number, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
        FROM schema_migrations
        ORDER BY number
        """)

    private static let record = Statement(
        "schema.record", "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)")
}
