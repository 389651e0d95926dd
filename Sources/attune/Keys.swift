import Accounts
import ArgumentParser

/// `attune keys`
struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks after the keys that sign tokens.", subcommands: [Rotate.self])

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a new signing key. Tokens that the old ones signed stay good until they expire.")

        @OptionGroup var place: PlaceOptions

        func run() async throws {
            try SigningKeys(dataFolder: place.settings().dataDirectory).rotate()
            Terminal.print("Made a new key. Running workers sign with it within ten seconds.")
        }
    }
}
