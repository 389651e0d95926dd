import Foundation
import Logging
import Postgres
import ServiceLifecycle
import Telemetry
import TestSupport
import Wire

@testable import Ingest

/// A real daemon in this process, on free ports.
struct TestDaemon: Sendable {
    static let token = "a-token-for-tests"

    /// Of HTTP.
    let port: Int
    let folder: String

    /// Lends a folder for daemons' data, and removes it afterwards.
    static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = "/tmp/attune-ingest-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    /// Lends a daemon that takes events over HTTP, and over other ways if `configure` says so, and stops it gracefully.
    ///
    /// - Parameters:
    ///   - folder: Nil: one that is removed afterwards.
    ///   - database: Nil: the test's scratch database.
    static func with(
        folder: String? = nil, database: String? = nil, _ configure: (inout IngestConfiguration) -> Void = { _ in },
        _ body: (TestDaemon) async throws -> Void
    ) async throws {
        guard let folder else {
            return try await withFolder { try await with(folder: $0, database: database, configure, body) }
        }
        var configuration = IngestConfiguration(
            dataFolder: folder, connectionString: database ?? ScratchDatabase.current.url)
        configuration.httpPort = 0
        configuration.tcpPort = nil
        configuration.syslogPort = nil
        configuration.token = IngestToken(token)
        configure(&configuration)
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        let daemon = IngestDaemon(configuration, metrics: PrometheusRegistry(), logger: .quiet) {
            if $0.input == .http { listening.yield($0.port) }
        }
        let group = ServiceGroup(services: [daemon], logger: .quiet)
        try await withThrowingTaskGroup { tasks in
            tasks.addTask {
                defer { listening.finish() }
                try await group.run()
            }
            for await port in ports.prefix(1) {
                let outcome: Result<Void, any Error>
                do {
                    outcome = .success(try await body(TestDaemon(port: port, folder: folder)))
                } catch {
                    outcome = .failure(error)
                }
                await group.triggerGracefulShutdown()
                try outcome.get()
            }
            try await tasks.waitForAll()
        }
    }

    /// Posts to `/v1/events` on a connection of its own.
    func post(
        _ body: some Sequence<UInt8>, type: String = "application/x-ndjson", headers: [String: String] = [:],
        token: String? = TestDaemon.token
    ) async throws -> Answer {
        let connection = try TestConnection(port: port)
        await connection.send(Self.request(body, type: type, headers: headers, token: token))
        return try await connection.answer()
    }

    func post(
        _ body: String, type: String = "application/x-ndjson", headers: [String: String] = [:], token: String? = TestDaemon.token
    ) async throws -> Answer {
        try await post(Array(body.utf8), type: type, headers: headers, token: token)
    }

    /// A request's bytes.
    static func request(
        _ body: some Sequence<UInt8>, type: String = "application/x-ndjson", headers: [String: String] = [:],
        token: String? = TestDaemon.token
    ) -> [UInt8] {
        let body = Array(body)
        var head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: \(type)\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        if headers["Transfer-Encoding"] == nil { head += "Content-Length: \(body.count)\r\n" }
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        return Array((head + "\r\n").utf8) + body
    }

    func get(_ path: String) async throws -> Answer {
        let connection = try TestConnection(port: port)
        await connection.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return try await connection.answer()
    }

    /// The health page.
    func health() async throws -> JSON {
        try JSON(parsing: await get("/health/ready").body)
    }

    /// `received`, `stored`, `duplicates`, `deadLettered` and `spooled` of one input.
    func ledger(_ input: String = "http") async throws -> [String: Int] {
        guard case .object(let members)? = try await health()["ledger"]?[input] else { return [:] }
        return Dictionary(uniqueKeysWithValues: members.map { ($0.key, Int($0.value.counterValue ?? 0)) })
    }

    /// Waits until nothing is in the spool any more.
    func waitUntilStored() async throws {
        try await eventually("an empty spool") { try await ledger("total")["spooled"] == 0 }
    }
}
