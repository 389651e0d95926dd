import ArgumentParser
import Ingest
import Logging
import Settings
import Telemetry

/// `attune-ingest import`
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stores the events of a file, and ends when all are in PostgreSQL.",
        discussion: """
            It needs no running daemon. A line that gives its event no id gets one from the file's name, the line's number and \
            its text, so a file can be imported again, or after it has grown, and nothing is stored twice.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case json, syslog, log
    }

    @Argument(help: "The file; - is standard input.") var file: String
    @Option(help: "What a line is: an event as JSON, a syslog message, or a line of a program's own log (with --program).")
    var format = Format.json
    @Option(help: "Whose log it is, with --format log: nginx, caddy, postgres, …") var program: String?
    @Option(help: "The source of events that name none. Default: import: and the file's name.") var source: String?

    func validate() throws {
        if (format == .log) != (program != nil) { throw ValidationError("--format log and --program belong together.") }
    }

    func run() async throws {
        let settings = try IngestSettings()
        LoggingSystem.bootstrapLines(level: .warning)
        var configuration = EventImport.Configuration(
            dataFolder: settings.dataDirectory, connectionString: settings.databaseURL.revealed)
        configuration.format = switch format {
        case .json: .events
        case .syslog: .syslog
        case .log: .log(program: program ?? "")
        }
        configuration.source = source
        configuration.rules = try settings.loadRules()
        configuration.spoolBudget = settings.spoolBudget
        let bar = ProgressBar()
        let counts = try await EventImport(configuration, logger: Logger(label: "attune-ingest")).run(path: file) { bar.show($0) }
        bar.finish()
        Terminal.print(
            """
            received \(counts.received) = stored \(counts.stored) + duplicates \(counts.duplicates) + \
            dead-lettered \(counts.deadLettered) + spooled \(counts.spooled)
            """)
        if counts.deadLettered > 0 { Terminal.note("'attune-ingest dead-letters list' shows what could not be stored, and why.") }
    }
}
