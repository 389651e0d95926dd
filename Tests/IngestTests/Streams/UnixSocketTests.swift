import Foundation
@testable import Ingest
import ServiceLifecycle
import TestSupport
import Testing

@Suite struct UnixSocketTests {
    private func run<Value>(_ spool: TestSpool, path: String, _ body: () async throws -> Value) async throws -> Value {
        try await spool.run({ [intake = spool.intake, logger = spool.logger] in
            StreamInput(
                .unix, at: .unixSocket(path), format: .events(token: nil), intake: intake, budget: ByteBudget(1 << 20),
                logger: logger, onListening: $0)
        }, { _ in try await body() })
    }

    @Test("a process of the same user reports through the socket, which is there for nobody else and goes with the daemon")
    func reports() async throws {
        let spool = try TestSpool()
        let path = spool.folder.path + "/ingest.sock"
        try await run(spool, path: path) {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let socket = try TestSocket.connect(path: path)
            try await socket.send("{\"attune\":\"ack\"}\n{\"type\":\"sys_startup\"}\n")
            try await socket.waitUntilAcknowledged(1)
        }
        #expect(try spool.storedEvents().map(\.source) == ["unix"])
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("a socket that nobody listens on any more is replaced; one that somebody listens on is not, nor is a file")
    func replaces() async throws {
        let spool = try TestSpool()
        let path = spool.folder.path + "/ingest.sock"
        try await run(spool, path: path) {
            await #expect(throws: UnixSocketFileError.self) { try await run(spool, path: path) {} }
            // As a daemon leaves it that was killed.
            try FileManager.default.moveItem(atPath: path, toPath: path + ".kept")
        }
        try FileManager.default.moveItem(atPath: path + ".kept", toPath: path)
        try await run(spool, path: path) { _ = try TestSocket.connect(path: path) }
        try Data("text".utf8).write(to: URL(filePath: path))
        await #expect(throws: UnixSocketFileError.self) { try await run(spool, path: path) {} }
    }

    @Test("a path that no socket can have is refused with a sentence")
    func tooLong() async throws {
        let spool = try TestSpool()
        let path = spool.folder.path + "/" + String(repeating: "x", count: 120)
        let error = await #expect(throws: UnixSocketFileError.self) { try await run(spool, path: path) {} }
        #expect(error?.description.contains("too long") == true)
    }
}
