import Foundation
import Testing

/// A short run of script/check-ingest, with the programs that were built for the tests.
@Suite("The ingestor's survival", .serialized)
struct SurvivalTests {
    @Test("what was acknowledged is stored exactly once, however often the daemon is killed")
    func killed() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let programs = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let check = Process()
        check.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        check.arguments = [
            "python3", root.appendingPathComponent("bench/ingest/survive.py").path, "12", "\(Int.random(in: 1...999_999))",
            "--programs", programs.path,
        ]
        check.environment = ProcessInfo.processInfo.environment.merging(["PYTHONPATH": root.appendingPathComponent("bench").path]) { $1 }
        let output = Pipe()
        check.standardOutput = output
        check.standardError = output
        try check.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        check.waitUntilExit()
        #expect(check.terminationStatus == 0, "\(text)")
    }
}
