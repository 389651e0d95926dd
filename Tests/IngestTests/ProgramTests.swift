import Development
import Foundation
import Postgres
import TestSupport
import Testing

@Suite("attune-ingest", .scratchDatabase, .timeLimit(.minutes(2)))
struct ProgramTests {
    private static let program = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().path + "/attune-ingest"
    private static let failedLogin =
        "<38>Nov 23 01:02:03 web sshd[99]: Failed password for root from 192.0.2.7 port 4711 ssh2\n"

    /// - Parameter port: of HTTP; the other inputs over the network are off.
    private func environment(
        _ folder: String, database: String = ScratchDatabase.current.url, port: Int = 3230
    ) -> [String: String] {
        [
            "PATH": "/usr/bin:/bin", "DATABASE_URL": database, "ATTUNE_DATA_DIR": folder, "ATTUNE_LOG_LEVEL": "warning",
            "ATTUNE_INGEST_HTTP_PORT": String(port), "ATTUNE_INGEST_TCP_PORT": "0", "ATTUNE_INGEST_SYSLOG_PORT": "0",
            "ATTUNE_INGEST_TOKEN": TestDaemon.token,
        ]
    }

    private func run(_ arguments: String..., folder: String) async throws -> (exit: ProcessExit, output: String) {
        try await ChildProcess.run(Self.program, arguments, environment: environment(folder))
    }

    private func storedTypes() async throws -> [String] {
        let select = Statement("test.types", "SELECT type FROM security_events ORDER BY type")
        return try await ScratchDatabase.current.makeClient().read(select()).map { try $0.decode(0, as: String.self) }
    }

    @Test("an import stores each line once, however often it is run, and says what became of all of them")
    func importing() async throws {
        try await TestDaemon.withFolder { folder in
            let file = folder + "/events.ndjson"
            let lines = [
                #"{"type":"one","source":"test","id":"1"}"#, #"{"type":"two"}"#, #"{"type":"two"}"#, "no event",
            ]
            try (lines.joined(separator: "\n") + "\n").write(toFile: file, atomically: true, encoding: .utf8)
            let first = try await run("import", file, folder: folder)
            #expect(first.exit == .code(0))
            #expect(first.output.contains("received 4 = stored 3 + duplicates 0 + dead-lettered 1 + spooled 0"), "\(first.output)")

            try (lines.joined(separator: "\n") + "\n{\"type\":\"three\"}").write(toFile: file, atomically: true, encoding: .utf8)
            let second = try await run("import", file, folder: folder)
            let ledger = "received 5 = stored 1 + duplicates 3 + dead-lettered 1 + spooled 0"
            #expect(second.output.contains(ledger), "\(second.output)")
            #expect(try await storedTypes() == ["one", "three", "two", "two"])

            let letters = try await run("dead-letters", "list", folder: folder)
            #expect(letters.output.components(separatedBy: #""raw":"no event""#).count == 3, "\(letters.output)")
            let replay = try await run("dead-letters", "replay", folder: folder)
            #expect(replay.output.contains("0 events handed in again; 2 letters stay."), "\(replay.output)")
        }
    }

    @Test("an import reads logs by the rules, and refuses a file that is not there")
    func logs() async throws {
        try await TestDaemon.withFolder { folder in
            let log = folder + "/auth.log"
            try Self.failedLogin.write(toFile: log, atomically: true, encoding: .utf8)
            let result = try await run("import", "--format", "syslog", log, folder: folder)
            #expect(result.output.contains("received 1 = stored 1 "), "\(result.output)")
            #expect(try await storedTypes() == ["authn_login_fail"])

            let missing = try await run("import", folder + "/missing", folder: folder)
            #expect(missing.exit == .code(1))
            #expect(missing.output.contains("cannot read \(folder)/missing: No such file or directory"), "\(missing.output)")
        }
    }

    @Test("rules are checked, and show what they make of a log")
    func rules() async throws {
        try await TestDaemon.withFolder { folder in
            let log = folder + "/auth.log"
            try Self.failedLogin.write(toFile: log, atomically: true, encoding: .utf8)
            let checked = try await run("rules", "check", log, folder: folder)
            #expect(checked.exit == .code(0))
            #expect(checked.output.contains("authn_login_fail") && checked.output.contains("192.0.2.7"), "\(checked.output)")

            try "rules: [nonsense".write(toFile: folder + "/wrong.yml", atomically: true, encoding: .utf8)
            let wrong = try await run("rules", "check", "--rules", folder, folder: folder)
            #expect(wrong.exit == .code(1))
            #expect(wrong.output.contains("wrong.yml"), "\(wrong.output)")
        }
    }

    @Test("what was accepted without PostgreSQL is on the disk, survives kill -9, and is stored after the next start")
    func killed() async throws {
        try await TestDaemon.withFolder { folder in
            let port = try LocalPort.findFree()
            var environment = environment(folder, database: "host=127.0.0.1 port=1 connect_timeout=1", port: port)
            try await withDaemon(environment, port: port) { daemon in
                let answer = try await LocalRequest(host: "127.0.0.1", port: port).send(
                    "POST", "/v1/events",
                    headers: ["Authorization": "Bearer \(TestDaemon.token)", "Content-Type": "application/json"],
                    body: Array(#"{"type":"survivor"}"#.utf8))
                #expect(answer.status == 202)
                let inspected = try await run("spool", "inspect", "--records", folder: folder)
                #expect(inspected.output.contains("survivor") && inspected.output.contains("1 records"), "\(inspected.output)")
                daemon.send(SIGKILL)
                _ = await daemon.wait()
            }
            environment["DATABASE_URL"] = ScratchDatabase.current.url
            try await withDaemon(environment, port: port) { daemon in
                try await eventually("the event") { try await storedTypes() == ["survivor"] }
                daemon.send(SIGTERM)
                let exit = await daemon.wait()
                #expect(exit == .code(0))
            }
        }
    }

    @Test("a request that is under way when the daemon is told to stop is answered, and then it ends")
    func stopped() async throws {
        try await TestDaemon.withFolder { folder in
            let port = try LocalPort.findFree()
            try await withDaemon(environment(folder, port: port), port: port) { daemon in
                let connection = try TestConnection(port: port)
                let request = TestDaemon.request(#"{"type":"last"}"#.utf8, headers: ["Expect": "100-continue"])
                await connection.send(request.dropLast(1))
                // The daemon has the request.
                #expect(try await connection.answer().status == 100)
                daemon.send(SIGTERM)
                try await eventually("the end of listening") { (try? TestConnection(port: port)) == nil }
                await connection.send("}")
                #expect(try await connection.answer().status == 202)
                let exit = await daemon.wait()
                #expect(exit == .code(0))
            }
        }
    }

    /// Lends a running daemon when it is ready, and ends it.
    private func withDaemon(
        _ environment: [String: String], port: Int, _ body: (ChildProcess) async throws -> Void
    ) async throws {
        let daemon = try await ChildProcess.start(
            Command(Self.program, environment: environment, output: .lines { _ in }))
        let outcome: Result<Void, any Error>
        do {
            try await LocalRequest(host: "127.0.0.1", port: port).waitUntilReady()
            outcome = .success(try await body(daemon))
        } catch {
            outcome = .failure(error)
        }
        daemon.send(SIGKILL)
        _ = await daemon.wait()
        try outcome.get()
    }
}
