import ArgumentParser
import Foundation

/// The operator's tool.
@main
struct Attune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attune",
        abstract: "Runs and looks after Attune, a backend for messaging that stock Convex clients speak to.",
        discussion: """
            Every option can be given as an environment variable too, which its help names; an option wins. Secrets are read \
            from the environment alone, since everybody on the machine sees command lines; DATABASE_URL_FILE and \
            ATTUNE_ADMIN_PASSWORD_FILE name files to read them from.
            """,
        subcommands: [Dev.self, User.self, Token.self, Keys.self, Metrics.self, Doctor.self])
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
