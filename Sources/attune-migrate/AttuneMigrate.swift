import ArgumentParser
import Foundation
import Logging
import Postgres
import Schema
import Settings

@main
struct AttuneMigrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attune-migrate",
        abstract: "Brings a database to the schema of this release.",
        discussion: """
            Exit status: 0 when the database is as it should be, 1 when migrations are pending, contradict the database \
            or failed, 2 when the database cannot be reached, 64 for a wrong command line.
            """,
        subcommands: [Up.self, Status.self, Verify.self])

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Applies what is pending, in order.")

        @OptionGroup var database: DatabaseOptions
        @Flag(help: "Say what would be applied, and change nothing.") var dryRun = false

        func run() async throws {
            try await database.withMigrator { migrator in
                if dryRun {
                    let status = try await migrator.status()
                    try status.requireIntactHistory()
                    for migration in status.pending { print("would apply \(migration.fileName)") }
                    if status.pending.isEmpty { print("Nothing to apply.") }
                } else {
                    let applied = try await migrator.up()
                    for migration in applied { print("applied \(migration.fileName)") }
                    if applied.isEmpty { print("Nothing to apply.") }
                }
            }
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists what is applied and what is pending.")

        @OptionGroup var database: DatabaseOptions

        func run() async throws {
            try await database.withMigrator { migrator in
                let status = try await migrator.status()
                for migration in status.applied { print("\(migration.appliedAt) UTC  \(migration.fileName)") }
                for migration in status.pending { print("pending                  \(migration.fileName)") }
                try status.requireCurrent()
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks that the database has exactly the migrations of this release.")

        @OptionGroup var database: DatabaseOptions

        func run() async throws {
            try await database.withMigrator { migrator in
                try await migrator.requireCurrent()
                print("The database has all migrations of this release, unchanged.")
            }
        }
    }
}

struct DatabaseOptions: ParsableArguments {
    @Option(help: "libpq connection string or URI. Default: the environment's DATABASE_URL.")
    var databaseURL: String?

    /// Runs `body`, and ends the program with the exit status for what it throws.
    func withMigrator(_ body: (Migrator) async throws -> Void) async throws {
        let settings: MigrateSettings
        do {
            settings = try MigrateSettings(overrides: databaseURL.map { ["DATABASE_URL": $0] } ?? [:])
        } catch {
            throw ValidationError(error.description)
        }
        let connection = ConnectionSettings(connectionString: settings.databaseURL.revealed, applicationName: "attune-migrate")
        // What there is to say is printed; a person or a script reads it, no log.
        let quiet = Logger(label: "attune-migrate") { _ in SwiftLogNoOpLogHandler() }
        let client = PostgresClient(PostgresClient.Configuration(connection: connection), logger: quiet)
        do {
            try await body(Migrator(client: client, logger: quiet))
            await client.close()
        } catch {
            await client.close()
            // The operator's own terminal may show the server's words.
            FileHandle.standardError.write(Data("\(String(reflecting: error))\n".utf8))
            throw ExitCode((error as? PostgresError)?.isUnavailability == true ? 2 : 1)
        }
    }
}
