import ArgumentParser
import Development
import Foundation
import Logging
import Settings
import Telemetry
import UnixSignals

/// `attune dev`
struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs everything: PostgreSQL (unless DATABASE_URL is set), migrations and all daemons. Ctrl-C stops it.")

    @OptionGroup var place: PlaceOptions
    @OptionGroup var stack: StackOptions
    @Flag(help: "Make demo users with a history of some weeks, and say how to sign in.") var demo = false

    func run() async throws {
        let overrides = place.overrides.merging(stack.overrides) { $1 }
        let settings = try OperatorSettings(overrides: overrides)
        LoggingSystem.bootstrapLines(level: Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info)
        // Who reads our lines may leave before we stop.
        signal(SIGPIPE, SIG_IGN)
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)

        // Not a group: the stack outlives the first signal, for as long as it takes to stop, and a second one must be heard.
        let stack = Task {
            try await DevelopmentStack(settings: settings, overrides: overrides, isDemo: demo).run()
        }
        let watching = Task {
            for await _ in signals {
                // The children have their death signals.
                if stack.isCancelled { _exit(130) }
                Terminal.note("Stopping. Once more to stop at once.")
                stack.cancel()
            }
        }
        defer { watching.cancel() }
        do {
            try await stack.value
        } catch where stack.isCancelled {
            // Whatever was interrupted is no failure.
        }
    }
}
