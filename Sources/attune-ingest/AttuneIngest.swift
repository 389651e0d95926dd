import ArgumentParser
import Foundation
import Rules
import Settings

/// `attune-ingest`: takes security events in. Settings come from the environment; see docs/settings.md.
@main
struct AttuneIngest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attune-ingest", abstract: "Takes security events in, and stores each of them once.",
        subcommands: [Run.self, Import.self, SpoolCommand.self, DeadLettersCommand.self, RulesCommand.self],
        defaultSubcommand: Run.self)
}

/// Lines for the person at the terminal: results go to standard output, everything else to standard error.
enum Terminal {
    static func print(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    static func note(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}

extension IngestSettings {
    /// The rules that the settings name. Throws a `RuleFileError`.
    func loadRules() throws -> RuleBook {
        try rulesFolder.map { try RuleBook(loading: $0) } ?? .standard
    }
}
