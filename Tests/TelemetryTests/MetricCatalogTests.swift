import Foundation
import Telemetry
import Testing

@Suite("The catalog of metrics")
struct MetricCatalogTests {
    private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test("has each name once")
    func names() {
        let names = MetricCatalog.all.map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test("describes what the sources make, and nothing else")
    func sources() throws {
        let folder = root.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        var made: Set<String> = []
        for case let file as URL in files where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: /(Counter|Gauge|Timer)\(\s*label: "(attune_[a-z_]+)"/) {
                let suffix = ["Counter": "_total", "Timer": "_seconds"][match.1] ?? ""
                made.insert(match.2.hasSuffix(suffix) ? String(match.2) : match.2 + suffix)
            }
        }
        // Made by the page itself.
        made.insert("attune_build_info")
        let described = Set(MetricCatalog.all.map(\.name).filter { $0.hasPrefix("attune_") })
        #expect(described.symmetricDifference(made).sorted() == [])
    }

    @Test("is what docs/monitoring.md lists")
    func document() throws {
        let text = try String(contentsOf: root.appending(path: "docs/monitoring.md"), encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `attune_") || $0.hasPrefix("| `process_") }
        let expected = MetricCatalog.all.map { "| `\($0.name)` | \($0.help) |" }
        #expect(rows.map(String.init).sorted() == expected.sorted())
    }

    @Test("has a line for what the system says of the process")
    func process() {
        let page = String(decoding: PrometheusRegistry().render(), as: UTF8.self)
        for metric in MetricCatalog.all where metric.name.hasPrefix("process_") || metric.name == "attune_build_info" {
            #expect(page.contains("# HELP \(metric.name) \(metric.help)\n"))
        }
        #expect(page.contains("attune_build_info{version=\"\(attuneVersion)\"} 1\n"))
    }
}
