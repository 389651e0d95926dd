import Development
import Foundation
import Postgres
import StackTestSupport
import TestSupport
import Testing

/// `attune user …` as an operator runs it.
@Suite("attune user", .scratchDatabase, .timeLimit(.minutes(5)))
struct OperatorTests {
    private static func withOperator(_ body: (Operator) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "attune-operator-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await body(Operator(dataFolder: folder, databaseURL: ScratchDatabase.current.url))
    }

    /// Runs commands on a database and a data folder.
    struct Operator: Sendable {
        let dataFolder: String
        let databaseURL: String

        private var environment: [String: String] {
            ProcessInfo.processInfo.environment.filter { ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH"].contains($0.key) }
                .merging(["ATTUNE_DATA_DIR": dataFolder, "DATABASE_URL": databaseURL]) { $1 }
        }

        /// What the command prints, of which all but the refused ones succeed.
        func run(_ arguments: String..., isRefused: Bool = false) async throws -> String {
            let result = try await ChildProcess.run(BuiltProgram.attune, arguments, environment: environment)
            try #require((result.exit == .code(0)) == !isRefused, "\(result.output)")
            return result.output
        }

        /// Runs a command at a terminal, where somebody types `answer`.
        func runAtTerminal(_ command: String, typing answer: String) async throws -> String {
            let line = "printf '\(answer)\\n' | script --quiet --return --command '\(BuiltProgram.attune) \(command)' /dev/null"
            return try await ChildProcess.run("/bin/sh", ["-c", line], environment: environment).output
        }
    }

    private static func count(_ sql: String) async throws -> Int {
        try await ScratchDatabase.current.makeClient().read(Statement("test", sql)()).first!.decode(0)
    }

    @Test("the last administrator stays; another one is promoted first")
    func administrators() async throws {
        try await Self.withOperator { it in
            _ = try await it.run("user", "create", "ana@example.org", "--admin")
            _ = try await it.run("user", "create", "ben@example.org", "--name", "Ben", "--account-type", "therapist")
            for command in ["demote", "remove"] {
                let refusal = try await it.run("user", command, "ana@example.org", isRefused: true)
                #expect(refusal.contains("'attune user promote EMAIL'"))
            }
            _ = try await it.run("user", "promote", "ben@example.org")
            _ = try await it.run("user", "demote", "ana@example.org")
            _ = try await it.run("user", "remove", "ana@example.org")
            let list = try await it.run("user", "list")
            let accounts = list.split(separator: "\n").map { $0.split(separator: "\t").dropFirst() }
            #expect(accounts == [["admin", "therapist", "ben@example.org", "Ben"]])
            let removed = try await it.run("user", "remove", "ana@example.org", isRefused: true)
            #expect(removed.contains("there is no account ana@example.org"))
        }
    }

    @Test("at a terminal, removing asks first")
    func confirmation() async throws {
        try await Self.withOperator { it in
            for name in ["ana", "ben", "cleo"] { _ = try await it.run("user", "create", "\(name)@example.org") }
            let declined = try await it.runAtTerminal("user remove ana@example.org", typing: "")
            #expect(declined.contains("ana (ana@example.org, user)") && declined.contains("nothing was removed"))
            let left = try await Self.count("SELECT count(*) FROM users WHERE removed_at IS NULL")
            #expect(left == 3)
            _ = try await it.runAtTerminal("user remove ana@example.org", typing: "y")
            let unasked = try await it.runAtTerminal("user remove --yes ben@example.org", typing: "")
            #expect(!unasked.contains("[y/N]"))
            let leftAtLast = try await Self.count("SELECT count(*) FROM users WHERE removed_at IS NULL AND name = 'cleo'")
            let tombstones = try await Self.count("SELECT count(*) FROM users WHERE removed_at IS NOT NULL AND name = 'Removed user'")
            #expect(leftAtLast == 1 && tombstones == 2)
        }
    }

    @Test("sessions are listed, and end one by one or all together")
    func sessions() async throws {
        try await Self.withOperator { it in
            _ = try await it.run("user", "create", "ana@example.org")
            for _ in 0..<3 { _ = try await it.run("token", "ana@example.org") }
            let lines = try await it.run("user", "sessions", "ana@example.org").split(separator: "\n")
            #expect(lines.count == 3)
            let line = try #require(lines.first)
            let isWellFormed = line.wholeMatch(of: /session_\S+\t[-0-9]+T[:0-9]+Z\t-\t[-0-9]+T[:0-9]+Z/) != nil
            #expect(isWellFormed, "\(line)")
            let id = String(line.split(separator: "\t")[0])
            _ = try await it.run("user", "sign-out", "--session", id)
            for session in [id, "nonsense"] { _ = try await it.run("user", "sign-out", "--session", session, isRefused: true) }
            _ = try await it.run("user", "sign-out", isRefused: true)
            _ = try await it.run("user", "sign-out", "ana@example.org", "--session", id, isRefused: true)
            let all = try await it.run("user", "sign-out", "ana@example.org")
            #expect(all == "ended 2 sessions")
            let none = try await it.run("user", "sessions", "ana@example.org")
            #expect(none.isEmpty)
        }
    }
}
