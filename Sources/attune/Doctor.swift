import ArgumentParser
import Development
import Domain
import Foundation
import Logging
import Postgres
import Schema
import Settings
import Store

/// `attune doctor`
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the settings in effect, and checks what Attune needs.",
        discussion: "Each check is a line, 'ok' or 'problem', with what to do. Exit status 1 when there is a problem.")

    @OptionGroup var place: PlaceOptions
    @OptionGroup var stack: StackOptions

    func run() async throws {
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        let settings = try OperatorSettings(overrides: place.overrides.merging(stack.overrides) { $1 })
        Terminal.print("Settings")
        for setting in settings.effective {
            let name = setting.name.padding(toLength: 31, withPad: " ", startingAt: 0)
            Terminal.print("  \(name)\(setting.shown.isEmpty ? "-" : setting.shown)  (\(setting.origin.rawValue))")
        }
        Terminal.print("Checks")
        var findings = [Self.checkDataDirectory(settings.dataDirectory)]
        findings += await Self.checkDatabase(settings)
        for finding in findings { Terminal.print("  \(finding)") }
        if findings.contains(where: \.isProblem) { throw ExitCode(1) }
    }

    private struct Finding: CustomStringConvertible {
        var isProblem: Bool
        var text: String

        static func ok(_ text: String) -> Finding { Finding(isProblem: false, text: text) }

        /// - Parameter remedy: what to do.
        static func problem(_ text: String, _ remedy: String) -> Finding {
            Finding(isProblem: true, text: "\(text): \(remedy)")
        }

        static func check(_ isRight: Bool, _ text: String, otherwise remedy: String) -> Finding {
            isRight ? .ok(text) : .problem(text, remedy)
        }

        var description: String { (isProblem ? "problem  " : "ok       ") + text.replacing("\n", with: "\n           ") }
    }

    private static func checkDataDirectory(_ path: String) -> Finding {
        var existing = path
        while !FileManager.default.fileExists(atPath: existing), existing != "/" {
            existing = (existing as NSString).deletingLastPathComponent
        }
        return .check(
            FileManager.default.isWritableFile(atPath: existing),
            existing == path ? "data folder \(path)" : "data folder \(path), to be made",
            otherwise: "we may not write to \(existing); choose another folder with --data-dir, or change its owner")
    }

    private static func checkDatabase(_ settings: OperatorSettings) async -> [Finding] {
        let connectionString: String
        do {
            connectionString = try Database.connectionString(settings)
        } catch {
            return [.problem("private cluster", "\(error)")]
        }
        do {
            return try await Database.withClient(connectionString) { client in
                let facts = try await ServerFacts.read(from: client)
                return await Self.compare(facts, workers: settings.workers) + Self.checkSchema(client)
            }
        } catch {
            // The operator's own terminal may show the server's words.
            let words = String(reflecting: error).replacing("\t", with: "").trimmingCharacters(in: .whitespacesAndNewlines)
            let isOurs = settings.databaseURL == nil
            let remedy = isOurs ? "start it with 'attune dev'" : "check DATABASE_URL, and that the server runs"
            return [.problem("database", "\(words)\n\(remedy)")]
        }
    }

    private static func compare(_ facts: ServerFacts, workers: Int) -> [Finding] {
        let slots = facts.replicationSlots - facts.usedReplicationSlots
        let senders = facts.walSenders - facts.usedWALSenders
        return [
            .check(facts.versionNumber >= 150_000, "PostgreSQL \(facts.version)", otherwise: "Attune needs 15 or newer"),
            .check(
                facts.encoding == "UTF8", "database encoding \(facts.encoding)",
                otherwise: "make the database with ENCODING 'UTF8'"),
            .check(
                facts.walLevel == "logical", "wal_level \(facts.walLevel)",
                otherwise: "ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL"),
            .check(
                facts.mayReplicate, "role may replicate",
                otherwise: "ALTER ROLE … REPLICATION for the role in DATABASE_URL"),
            // Running workers have theirs already; `workers` more can be started.
            .check(
                slots >= workers, "\(slots) of \(facts.replicationSlots) replication slots free",
                otherwise: "each worker takes one; raise max_replication_slots, and restart PostgreSQL"),
            .check(
                senders >= workers, "\(senders) of \(facts.walSenders) WAL senders free",
                otherwise: "each worker takes one; raise max_wal_senders, and restart PostgreSQL"),
            .check(
                facts.missingExtensions.isEmpty, "extensions pg_trgm and unaccent",
                otherwise: "\(facts.missingExtensions) not installed on the server; Debian has them in postgresql"),
        ]
    }

    private static func checkSchema(_ client: PostgresClient) async -> [Finding] {
        do {
            try await Migrator(client: client, logger: Logger(label: "doctor")).requireCurrent()
            return [.ok("schema is current"), try await checkAggregation(client)]
        } catch {
            return [.problem("schema", "\(error)")]
        }
    }

    private static func checkAggregation(_ client: PostgresClient) async throws -> Finding {
        let waiting = try await CountedFacts.oldestWaiting(in: client).map { Instant.now() - $0 } ?? .zero
        let minutes = waiting.components.seconds / 60
        // A turn comes every few seconds.
        return .check(
            minutes == 0,
            minutes == 0 ? "what workers report is added up" : "what workers reported \(minutes) minutes ago is not added up",
            otherwise: "start attune-metrics, or see what its log says")
    }
}
