import ArgumentParser
import Foundation
import Fuzzing

/// `fuzz-events`: throws inputs at the parsers of events until one of them does wrong.
@main
struct FuzzEvents: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fuzz-events", abstract: "Checks that no input breaks the parsers of security events.")

    @Argument(help: "How many inputs.")
    var count = 100_000

    @Argument(help: "What the inputs are made from; one at random if not given.")
    var seed: UInt64?

    @Option(help: "The number of the first input.")
    var from = 0

    @Flag(help: "Say each input's number before it is tried: the last one is that of a crash.")
    var verbose = false

    func run() throws {
        let seed = seed ?? .random(in: 1...999_999)
        say("fuzz-events: \(count) inputs from number \(from), seed \(seed)")
        let generator = InputGenerator(seed: seed)
        let check = ParserCheck()
        let clock = ContinuousClock()
        let start = clock.now
        var bytes = 0
        var accepted = 0
        var slowest = (number: from, duration: Duration.zero)
        for number in from..<(from + count) {
            if verbose { say("\(number)") }
            let input = generator.input(number)
            let duration = try clock.measure {
                do {
                    accepted += try check.check(input).count
                } catch {
                    let beginning = String(decoding: input.prefix(2_000), as: UTF8.self)
                    say("input \(number) of seed \(seed): \(error)\n\(beginning.debugDescription)")
                    throw ExitCode.failure
                }
            }
            bytes += input.count
            if duration > slowest.duration { slowest = (number, duration) }
            if (number + 1) % 1_000_000 == 0 { say("up to \(number + 1): no finding, \(accepted) events accepted") }
        }
        let seconds = (clock.now - start) / .seconds(1)
        say(
            """
            \(count) inputs, \(bytes / 1_000_000) MB, \(accepted) events accepted, no finding, in \(Int(seconds)) s \
            (\(Int(Double(count) / seconds))/s); the slowest was \(slowest.number) with \(slowest.duration)
            """)
    }

    /// At once: after a crash it has to be there.
    private func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
