import ArgumentParser
import Foundation
import Ingest
import Rules
import Settings

/// `attune-ingest rules`
struct RulesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules", abstract: "Helps with writing rules.", subcommands: [Check.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the rule files, and shows what they make of the lines of a log.",
            discussion: "Without a file it only says whether the rules can be read, and what is wrong with them.")

        @Option(help: "Folder of the rule files. Default: \(SettingCatalog.rulesFolder.name), or else the built-in rules.")
        var rules: String?
        @Option(help: "Read lines as this program's log, and not as syslog: nginx, caddy, postgres, …")
        var program: String?
        @Argument(help: "A log; - is standard input.") var file: String?

        func run() async throws {
            let environment = ProcessInfo.processInfo.environment
            let folder = rules ?? environment[SettingCatalog.rulesFolder.name].flatMap { $0.isEmpty ? nil : $0 }
            let book: RuleBook
            do {
                book = try folder.map { try RuleBook(loading: $0) } ?? .standard
            } catch {
                Terminal.note("\(error)")
                throw ExitCode(1)
            }
            guard let file else {
                return Terminal.print("The rules are in order; \(book.detections.count) of them detect attacks.")
            }
            let format = program.map { ImportFormat.log(program: $0) } ?? .syslog
            try await RuleTrial(book.lines, format: format).run(path: file, print: Terminal.print)
        }
    }
}
