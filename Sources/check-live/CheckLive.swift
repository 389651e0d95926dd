import ArgumentParser
import Checking
import Foundation

/// `check-live`: runs an installation under load and faults, and compares all that its clients are shown with the log. See
/// docs/checker.md.
@main
struct CheckLive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-live", abstract: "Checks that live queries show what they should, whatever goes wrong.")

    @Argument(help: "How long there are load and faults.")
    var seconds = 60

    @Argument(help: "What all decisions are drawn from; one at random if not given.")
    var seed: UInt64?

    @Option(help: "Clients, on one socket each.")
    var clients = 150

    @Option(help: "Accounts to begin with.")
    var users = 26

    @Option(help: "attune-api processes.")
    var workers = 3

    @Option(help: "What the clients do in a second, all together.")
    var pace = 20.0

    @Option(help: "The mean pause between two faults, in seconds; 0 for none.")
    var faultInterval = 9.0

    @Option(parsing: .upToNextOption, help: "Only these faults, by their names in Faults.Kind: killWorker, holdCommits, …")
    var faults: [String] = []

    @Option(help: "deploy/nginx/attune.conf.")
    var nginxConfiguration: String

    @Option(help: "What a debug build of attune-api is to do wrong, to see whether it is found: \"visibility\", \"invalidation\", \"deduplication\".")
    var sabotage: String?

    @Flag(help: "Show the workers' logs too, from notice on.")
    var verbose = false

    func run() async throws {
        let beside = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        var settings = LiveCheck.Settings(programs: beside, nginxConfiguration: nginxConfiguration)
        settings.seconds = seconds
        settings.seed = seed ?? .random(in: 1...999_999)
        settings.clients = clients
        settings.users = users
        settings.workers = workers
        settings.pace = pace
        settings.faultInterval = faultInterval > 0 ? faultInterval : nil
        settings.faults = faults
        settings.sabotage = sabotage
        settings.note = { FileHandle.standardError.write(Data("\(Date.now.formatted(.iso8601.time(includingFractionalSeconds: true))) \($0)\n".utf8)) }
        if verbose { settings.noteLog = settings.note }
        settings.note("check-live: \(seconds) seconds, seed \(settings.seed)")
        let running = Task { [settings] in try await LiveCheck(settings).run() }
        let interruptions = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { running.cancel() }
            source.resume()
            return source
        }
        let result = try await running.value
        let isInterrupted = running.isCancelled
        for source in interruptions { source.cancel() }
        for finding in result.findings { print("\(finding)\nSeed: \(settings.seed)\n") }
        if !result.findings.isEmpty { print("The end of the logs:\n\(result.log.joined(separator: "\n"))\n") }
        print(result.summary)
        if !result.findings.isEmpty { throw ExitCode.failure }
        if isInterrupted { throw ExitCode(130) }
    }
}
