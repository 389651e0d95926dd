import Foundation
import Testing

/// Short runs of the scripts that kill daemons, with the programs that were built for the tests.
@Suite("Survival", .serialized)
struct SurvivalTests {
    /// What script/check-ingest runs.
    @Test("what the ingestor has acknowledged is stored exactly once, however often the daemon is killed")
    func ingestor() throws {
        let (status, output) = try run("bench/ingest/survive.py", "12")
        #expect(status == 0, "\(output)")
    }

    /// What script/check-metrics runs. How soon another aggregator takes over is for that to say: here others share the machine.
    @Test("the numbers are those of the raw facts, however often the aggregator that leads is killed")
    func aggregators() throws {
        let (status, output) = try run("bench/metrics/survive.py", "4", "--limit", "120")
        #expect(status == 0, "\(output)")
    }

    /// Runs a script with so many rounds and a new seed. Gives its exit status and all that it has said.
    private func run(_ script: String, _ rounds: String, _ options: String...) throws -> (status: Int32, output: String) {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let programs = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let check = Process()
        check.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        check.arguments = ["python3", root.appendingPathComponent(script).path, rounds, "\(Int.random(in: 1...999_999))"]
        check.arguments! += ["--programs", programs.path] + options
        check.environment = ProcessInfo.processInfo.environment
            .merging(["PYTHONPATH": root.appendingPathComponent("bench").path]) { $1 }
        let pipe = Pipe()
        check.standardOutput = pipe
        check.standardError = pipe
        try check.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        check.waitUntilExit()
        return (check.terminationStatus, output)
    }
}
