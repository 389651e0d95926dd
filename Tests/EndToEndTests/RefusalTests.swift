import Development
import Foundation
import Postgres
import StackTestSupport
import Testing
import TestSupport

@Suite("On another schema than its own")
struct RefusalTests {
    /// Runs a program that is to refuse.
    ///
    /// - Returns: what it has said.
    private func refusal(_ program: String, _ arguments: [String] = []) async throws -> String {
        let database = ScratchDatabase.current.url
        var output = ""
        try await StackPlace.with { place in
            let environment = place.environment(["DATABASE_URL": database])
            let result = try await ChildProcess.run(program, arguments, environment: environment)
            guard case .code(let code) = result.exit else {
                Issue.record("ended by \(result.exit)")
                return
            }
            #expect(code != 0)
            output = result.output
        }
        return output
    }

    private func addMigrationOfTheFuture() async throws {
        let client = ScratchDatabase.current.makeClient()
        let insert = Statement(
            "test.future",
            "INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, 'invent_teleporting', repeat('0', 64))")
        _ = try await client.write(insert())
    }

    @Test("a newer one: the stack and its daemons refuse to start, and say what helps", .scratchDatabase, .timeLimit(.minutes(3)))
    func newer() async throws {
        try await addMigrationOfTheFuture()
        for (program, arguments) in [(BuiltProgram.attune, ["dev"]), (BuiltProgram.api, []), (BuiltProgram.metrics, [])] {
            let output = try await refusal(program, arguments)
            #expect(output.contains("newer than this program"), "\(output)")
            #expect(output.contains("9999_invent_teleporting.sql"))
            #expect(output.contains("attune-migrate status"))
        }
    }

    @Test("an older one: the daemons refuse to start, and say what helps", .scratchDatabase(.empty), .timeLimit(.minutes(3)))
    func older() async throws {
        for program in [BuiltProgram.api, BuiltProgram.metrics] {
            let output = try await refusal(program)
            #expect(output.contains("older than this program"), "\(output)")
            #expect(output.contains("attune-migrate up"))
        }
    }
}
