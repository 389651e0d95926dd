import Checking
import Foundation
import Testing

/// The checker runs real workers, with real faults; so it is checked against workers that are wrong on purpose.
@Suite("The checker of live queries", .serialized)
struct CheckerTests {
    @Test("finds nothing wrong with a sound installation, whatever fails")
    func sound() async throws {
        var settings = Self.settings
        settings.seconds = 15
        let result = try await LiveCheck(settings).run()
        #expect(result.findings.isEmpty, "\(Self.text(of: result, settings))")
        #expect(result.exactTransitions > 100)
        #expect(result.faults > 0)
    }

    @Test("finds workers that are wrong on purpose", arguments: ["visibility", "invalidation", "deduplication"])
    func broken(sabotage: String) async throws {
        var settings = Self.settings
        settings.sabotage = sabotage
        // Ends with the first finding.
        settings.seconds = 60
        let result = try await LiveCheck(settings).run()
        #expect(!result.findings.isEmpty, "\(Self.text(of: result, settings))")
    }

    private static var settings: LiveCheck.Settings {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let programs = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        var settings = LiveCheck.Settings(
            programs: programs.path, nginxConfiguration: root.appendingPathComponent("deploy/nginx/attune.conf").path)
        settings.seed = .random(in: 1...999_999)
        settings.clients = 40
        settings.users = 10
        settings.faultInterval = 2
        return settings
    }

    private static func text(of result: LiveCheck.Result, _ settings: LiveCheck.Settings) -> String {
        (["seed \(settings.seed)"] + result.findings.map(\.description) + [result.summary]).joined(separator: "\n")
    }
}
