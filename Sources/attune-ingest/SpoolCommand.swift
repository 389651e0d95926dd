import ArgumentParser
import Delivery
import Ingest
import Settings

/// `attune-ingest spool`
struct SpoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spool", abstract: "Looks at the events that wait on the disk.", subcommands: [Inspect.self])

    struct Inspect: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the segments of spools, and what is damaged in them. Changes nothing; the daemon may run.",
            discussion: "docs/ingest.md has the format of the files.")

        @OptionGroup var place: SpoolOptions
        @Flag(help: "Show each record too. They may hold personal data.") var records = false

        func run() async throws {
            for folder in try place.folders() {
                try SpoolReport(folder: folder).write(includingRecords: records, to: Terminal.print)
            }
        }
    }
}

/// Which spools a command works on.
struct SpoolOptions: ParsableArguments {
    @Option(help: "\(SettingCatalog.dataDirectory.help)") var dataDir: String?
    @Argument(help: "A spool's folder. Default: all of the data folder.") var folder: String?

    func spools() throws -> SpoolFolders {
        let overrides = [SettingCatalog.dataDirectory.name: dataDir].compactMapValues { $0 }
        return SpoolFolders(dataFolder: try DataFolderSettings(overrides: overrides).dataDirectory)
    }

    func folders() throws -> [String] { try folder.map { [$0] } ?? spools().all }
}
