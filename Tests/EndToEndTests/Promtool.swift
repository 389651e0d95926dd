import Development
import Foundation
import Testing

/// Prometheus' own checker.
enum Promtool {
    /// Nil: it is not there.
    static let path = ProcessInfo.processInfo.environment["ATTUNE_TEST_PROMTOOL"].flatMap { path in
        FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }

    /// Runs it, and records an issue when it finds something.
    static func check(_ arguments: String..., input: [UInt8] = []) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "promtool-\(UUID().uuidString)")
        try Data(input).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let result = try await ChildProcess.run(
            "/bin/sh", ["-c", #"input=$1; shift; exec "$@" <"$input""#, "sh", file.path, try #require(path)] + arguments)
        #expect(result.exit == .code(0), "\(result.output)")
    }
}

extension Trait where Self == ConditionTrait {
    static var needsPromtool: Self {
        .enabled(if: Promtool.path != nil, "ATTUNE_TEST_PROMTOOL names no promtool; see script/promtool")
    }
}

/// What deploy/ has for Prometheus and Grafana.
enum MonitoringFiles {
    static let dashboard = path("grafana/attune.json")
    static let configuration = path("prometheus/prometheus.yml")
    static let alerts = path("prometheus/attune-alerts.yml")
    static let alertTests = path("prometheus/attune-alerts.test.yml")

    private static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/\(name)").standardizedFileURL.path
    }

    /// The names of our metrics, and of processes', that a file mentions.
    static func metrics(in file: String) throws -> Set<String> {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        return Set(text.matches(of: /\b(?:attune|process)_[a-z_]+/).map { String($0.0) })
    }
}
