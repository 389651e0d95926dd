import ArgumentParser
import Delivery
import Foundation
import Logging

/// `attune-ingest dead-letters`
struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters", abstract: "Looks after what could not be stored.", subcommands: [List.self, Replay.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints dead letters with their reasons, as JSON, one in a line. They may hold personal data.")

        @OptionGroup var place: SpoolOptions

        func run() async throws {
            for folder in try place.folders() {
                try await DeadLetters.list(folder: folder) { letter in
                    FileHandle.standardOutput.write(Data(letter.line + [UInt8(ascii: "\n")]))
                }
            }
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Hands the events among the dead letters in again, for the daemon to store.",
            discussion: """
                For when PostgreSQL has refused events and the reason is gone. What could not be read as an event stays. A daemon \
                with the same data folder takes the events over within seconds, now or when it is started.
                """)

        @OptionGroup var place: SpoolOptions

        func run() async throws {
            let spool = try EventSpool(
                folder: place.spools().newImport(), logger: Logger(label: "attune-ingest") { _ in SwiftLogNoOpLogHandler() })
            defer { spool.close() }
            var (replayed, kept) = (0, 0)
            for folder in try place.folders() where folder != spool.folder {
                let replay = try await DeadLetters.replay(folder: folder, into: Intake(spool))
                replayed += replay.replayed
                kept += replay.kept
            }
            Terminal.print("\(replayed) events handed in again; \(kept) letters stay.")
        }
    }
}
