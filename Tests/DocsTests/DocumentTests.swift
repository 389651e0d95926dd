import Domain
import Foundation
import Functions
import Registry
import Testing

@Suite("Documents say what the code says")
struct DocumentTests {
    @Test("docs/adding-a-function.md shows the files that are tested here", arguments: [
        "Examples/CountUnread.swift", "Examples/MarkConversationAsRead.swift", "UnreadCountTests.swift",
    ])
    func examples(file: String) throws {
        let source = try text(of: "Tests/DocsTests/\(file)")
        let document = try text(of: "docs/adding-a-function.md")
        let isShown = document.contains("```swift\n\(source)```\n")
        #expect(isShown)
    }

    @Test("docs/errors.md lists the codes of ApiError")
    func errorCodes() throws {
        let documented = try rows(of: "docs/errors.md", under: "## Codes").map { $0[0] }
        let codes = APIError.Code.allCases.map { "`\($0.rawValue)`" }
        #expect(documented.sorted() == codes.sorted())
    }

    @Test("README.md lists the functions, their kinds and who may call them")
    func functions() throws {
        let documented = try rows(of: "README.md", under: "## The API").map { $0[0...2].joined(separator: " | ") }
        let functions = allFunctions.map { function in
            let kind = "\(function.kind)" + (function.isAlsoMutation ? ", also as mutation" : "")
            let access = switch function.access {
            case .anyone: "anyone"
            case .signedIn: "signed in"
            case .admin: "admin"
            }
            return "`\(function.path)` | \(kind) | \(access)"
        }
        #expect(documented.sorted() == functions.sorted())
    }

    @Test(
        "docs/metrics.md defines the numbers as the code does",
        arguments: [
            ("## SystemMetrics", .systemMetrics), ("## UserAnalytics", .userAnalytics), ("An element of `series`:", .series),
            ("An element of `retention`:", .retention),
        ] as [(String, MetricDefinition.Place)])
    func metrics(heading: String, place: MetricDefinition.Place) throws {
        let documented = try rows(of: "docs/metrics.md", under: heading)
        #expect(documented == MetricDefinition.all(of: place).map { ["`\($0.field)`", $0.sentence] })
    }

    @Test("docs/architecture.md lists the modules and their dependencies as Package.swift declares them")
    func modules() throws {
        let documented = try rows(of: "docs/architecture.md", under: "## Modules").map {
            [Self.names($0[0])[0]] + Self.names($0.dropFirst(2).joined())
        }
        let modules = Set(documented.map { $0[0] })
        // Each target's declaration begins with its name; all other strings in it that are modules are its dependencies.
        var declared: [String: [String]] = [:]
        for declaration in try text(of: "Package.swift").split(separator: "arget(") {
            let strings = declaration.matches(of: /"([^"]+)"/).map { String($0.1) }
            if let name = strings.first, modules.contains(name) { declared[name] = strings.dropFirst().filter(modules.contains) }
        }
        for row in documented where !row[0].hasPrefix("C") {
            let dependencies = declared[row[0]]
            #expect(dependencies == Array(row.dropFirst()), "\(row[0])")
        }
    }

    /// What stands between backquotes.
    private static func names(_ cell: String) -> [String] {
        cell.matches(of: /`([^`]+)`/).map { String($0.1) }
    }

    private func text(of path: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// The cells of the first table under a heading or another line, without its head.
    private func rows(of path: String, under heading: String) throws -> [[String]] {
        let lines = try text(of: path).split(separator: "\n", omittingEmptySubsequences: false)
        let section = lines.drop { $0 != heading }.dropFirst()
        return section.drop { !$0.hasPrefix("|") }.prefix { $0.hasPrefix("|") }.dropFirst(2).map { line in
            line.split(separator: " | ").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: "| ")) }
        }
    }
}
