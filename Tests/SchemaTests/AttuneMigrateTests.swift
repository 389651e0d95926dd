import Development
import Foundation
import Postgres
import Schema
import TestSupport
import Testing

@Suite("attune-migrate", .scratchDatabase(.empty))
struct AttuneMigrateTests {
    /// Runs the program from a directory that has nothing to do with its sources.
    private func run(
        _ arguments: String..., database: String? = ScratchDatabase.current.url
    ) async throws -> (code: Int32?, output: String) {
        let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "attune-migrate")
        var environment = ProcessInfo.processInfo.environment
        environment["DATABASE_URL"] = database
        let result = try await ChildProcess.run(
            "/usr/bin/env", ["--chdir=/", program.path()] + arguments, environment: environment)
        guard case .code(let code) = result.exit else { return (nil, result.output) }
        return (code, result.output)
    }

    @Test("shows, applies and verifies; 1 means that something is to be done, 0 that all is well")
    func life() async throws {
        let files = Migration.all.map(\.fileName)
        #expect(try await run("verify").code == 1)
        let before = try await run("status")
        #expect(before.code == 1)
        #expect(files.allSatisfy { before.output.contains("pending                  \($0)") })
        let dry = try await run("up", "--dry-run")
        #expect(dry.code == 0)
        #expect(dry.output == files.map { "would apply \($0)" }.joined(separator: "\n"))
        #expect(try await run("status").output == before.output)

        let up = try await run("up")
        #expect(up.code == 0)
        #expect(up.output == files.map { "applied \($0)" }.joined(separator: "\n"))
        #expect(try await run("up").output == "Nothing to apply.")
        #expect(try await run("verify").code == 0)
        #expect(try await run("status").code == 0)

        _ = try await ScratchDatabase.current.makeClient().write(
            Statement("test.edit", "UPDATE schema_migrations SET checksum = 'another' WHERE number = 2")())
        for command in ["up", "status", "verify"] {
            let result = try await run(command)
            #expect(result.code == 1)
            #expect(result.output.contains("was edited") && result.output.contains(files[1]))
        }
    }

    @Test("two started together apply each file once")
    func together() async throws {
        async let first = run("up")
        async let second = run("up")
        let results = try await [first, second]
        #expect(results.map(\.code) == [0, 0])
        for migration in Migration.all {
            #expect(results.filter { $0.output.contains("applied \(migration.fileName)") }.count == 1)
        }
    }

    @Test("a database that cannot be reached is 2, and a command line without one 64")
    func unreachable() async throws {
        let unreachable = try await run("status", "--database-url", "host=/nonexistent")
        #expect(unreachable.code == 2)
        #expect(unreachable.output.contains("/nonexistent"))
        let missing = try await run("status", database: nil)
        #expect(missing.code == 64)
        #expect(missing.output.contains("DATABASE_URL"))
    }
}
