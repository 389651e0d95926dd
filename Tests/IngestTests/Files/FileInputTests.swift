import Delivery
import Domain
import Events
import Foundation
@testable import Ingest
import Rules
import TestSupport
import Testing

@Suite struct FileInputTests {
    /// A log that a program writes, and a spool for what is read of it.
    private final class Scene: Sendable {
        let spool: TestSpool
        let path: String

        init() throws {
            spool = try TestSpool()
            path = spool.folder.path + "/app.log"
        }

        func follow<Value>(program: String? = nil, _ body: () async throws -> Value) async throws -> Value {
            try await spool.run({ [spool, path] in
                FileInput(
                    files: [FollowedFile(path: path, program: program)], positions: spool.folder.path + "/positions",
                    rules: RuleBook.standard.lines, intake: spool.intake, logger: spool.logger, onListening: $0)
            }, { _ in try await body() })
        }

        /// Numbered lines.
        func write(_ numbers: Range<Int>, to name: String? = nil) throws {
            try write(numbers.map { "<13>Nov 23 01:00:00 host app: line \($0)\n" }.joined(), to: name)
        }

        func write(_ text: String, to name: String? = nil) throws {
            let path = name ?? path
            if !FileManager.default.fileExists(atPath: path) { try Data().write(to: URL(filePath: path)) }
            let file = try FileHandle(forWritingTo: URL(filePath: path))
            try file.seekToEnd()
            try file.write(contentsOf: Data(text.utf8))
            try file.close()
        }

        func rename(to suffix: String) throws {
            try FileManager.default.moveItem(atPath: path, toPath: path + suffix)
        }

        /// `logrotate`'s copytruncate.
        func copyAndEmpty(to suffix: String) throws {
            try FileManager.default.copyItem(atPath: path, toPath: path + suffix)
            let file = try FileHandle(forWritingTo: URL(filePath: path))
            try file.truncate(atOffset: 0)
            try file.close()
        }

        func details() throws -> [String] { try spool.storedEvents().map(\.details) }

        /// Waits until the lines with these numbers have come; each once, in any order.
        func expect(_ numbers: Range<Int>) async throws {
            let lines = numbers.map { "line \($0)" }.sorted()
            try await eventually("lines \(numbers)") { try details().count >= lines.count }
            let found = try details().sorted()
            #expect(found == lines)
        }
    }

    @Test("a file is followed from its beginning, also if it comes later")
    func follows() async throws {
        let scene = try Scene()
        try await scene.follow {
            try scene.write(0..<3)
            try await scene.expect(0..<3)
            // A line is a line when its end is there.
            try scene.write("<13>Nov 23 01:00:00 host app: line ")
            try scene.write("3\n")
            try scene.write(4..<2000)
            try await scene.expect(0..<2000)
        }
        let first = try scene.spool.storedEvents().first
        #expect(first?.source.hasSuffix(scene.path) == true)
        #expect(first?.source.hasPrefix("file:") == true)
    }

    @Test("a file that is renamed is read to its end, also by a writer that notices late, and then the new one")
    func renamed() async throws {
        let scene = try Scene()
        try scene.write(0..<3)
        try await scene.follow {
            try await scene.expect(0..<3)
            try scene.write(3..<5)
            try scene.rename(to: ".1")
            try scene.write(5..<7, to: scene.path + ".1")
            try await scene.expect(0..<7)
            try scene.write(7..<9)
            try scene.write(9..<10, to: scene.path + ".1")
            try await scene.expect(0..<10)
        }
    }

    @Test("a file that is copied and emptied loses nothing that is in the copy, though it begins with the same line again")
    func emptied() async throws {
        let scene = try Scene()
        try scene.write("# begins here\n")
        try scene.write(0..<3)
        try await scene.follow {
            try await eventually("the first lines") { try scene.details().count == 4 }
            try scene.write(3..<5)
            try scene.copyAndEmpty(to: ".1")
            try scene.write("# begins here\n")
            try scene.write(5..<7)
            try await eventually("all lines") { try scene.details().count == 9 }
        }
        #expect(try scene.details().filter { $0.hasPrefix("line") }.sorted() == (0..<7).map { "line \($0)" })
    }

    @Test("after a restart it goes on where it was, whatever became of the file", arguments: [
        "as it was", "renamed twice", "emptied", "emptied twice",
    ])
    func restarts(fate: String) async throws {
        let scene = try Scene()
        try scene.write(0..<3)
        try await scene.follow { try await scene.expect(0..<3) }
        try scene.write(3..<5)
        switch fate {
        case "renamed twice":
            try scene.rename(to: ".2")
            try scene.write(5..<6)
            try scene.rename(to: ".1")
        case "emptied":
            try scene.copyAndEmpty(to: ".1")
            try scene.write(5..<6)
        case "emptied twice":
            try scene.copyAndEmpty(to: ".2")
            try scene.write(5..<6)
            try scene.copyAndEmpty(to: ".1")
        default: try scene.write(5..<6)
        }
        try scene.write(6..<8)
        try await scene.follow { try await scene.expect(0..<8) }
        // Nothing was read twice.
        #expect(try scene.spool.duplicates() == 0)
    }

    @Test("without the note of the positions everything is read again, and known")
    func forgets() async throws {
        let scene = try Scene()
        try scene.write(0..<100)
        try await scene.follow { try await scene.expect(0..<100) }
        try FileManager.default.removeItem(atPath: scene.spool.folder.path + "/positions")
        try await scene.follow {
            try scene.write(100..<101)
            try await scene.expect(0..<101)
        }
        #expect(try scene.spool.duplicates() == 100)
    }

    @Test("a line that is much too long is cut, and the next one is whole")
    func longLine() async throws {
        let scene = try Scene()
        try scene.write("<13>Nov 23 01:00:00 host app: line 0\n" + String(repeating: "x", count: 1 << 20))
        try await scene.follow {
            try await eventually("the first line") { try scene.details().count == 1 }
            try scene.write("x\n")
            try scene.write(1..<2)
            try await eventually("all") { try scene.details().count == 3 }
        }
        let details = try scene.details()
        #expect(details.first == "line 0")
        #expect(details.last == "line 1")
    }

    @Test("lines may be events as JSON, and lines of a program without a syslog header")
    func formats() async throws {
        let json = try Scene()
        try json.write(eventLine(7) + #"{"type":"sys_startup"}"# + "\n")
        try await json.follow { try await eventually("both") { try json.spool.storedEvents().count == 2 } }
        #expect(try json.spool.storedEvents().map(\.type).sorted() == ["authn_login_fail", "sys_startup"])
        #expect(try json.spool.storedEvents().contains { $0.source == "test" })

        let access = try Scene()
        try access.write(#"192.0.2.7 - - [23/Nov/2026:01:00:00 +0000] "GET /admin HTTP/1.1" 403 15 "-" "curl/8""# + "\n")
        try await access.follow(program: "nginx") { try await eventually("it") { try access.spool.storedEvents().count == 1 } }
        #expect(try access.spool.storedEvents().map(\.type) == [SecurityEventType.accessRefused])
        #expect(try access.spool.storedEvents().map(\.ip) == [IPAddress("192.0.2.7")])
    }

    @Test("an entry of the setting is a path, and maybe a program", arguments: [
        ("/var/log/auth.log", FollowedFile(path: "/var/log/auth.log")),
        ("nginx=/var/log/nginx/access.log", FollowedFile(path: "/var/log/nginx/access.log", program: "nginx")),
        ("auth.log", nil), ("=/var/log/auth.log", nil), ("nginx/var/log/auth.log", nil),
    ])
    func entries(text: String, file: FollowedFile?) {
        #expect(FollowedFile(text) == file)
    }
}
