import Delivery
import Domain
import Events
import Foundation
@testable import Ingest
import Logging
import Rules
import ServiceLifecycle
import Spool
import TestSupport

/// A folder for one test, deleted with it.
final class ScratchFolder: Sendable {
    // Short: Unix sockets have short names.
    let path = FileManager.default.temporaryDirectory.appending(path: "attune-\(UInt32.random(in: 0 ... .max))").path

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A spool in a folder of its own, and what is in it.
final class TestSpool: Sendable {
    let folder: ScratchFolder
    let events: EventSpool
    let intake: Intake
    let logger: Logger

    init(budget: Int = 1 << 30) throws {
        folder = try ScratchFolder()
        logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        events = try EventSpool(folder: folder.path + "/spool", budget: budget, logger: logger)
        intake = Intake(events)
    }

    deinit { events.close() }

    /// All that is durable.
    func entries() throws -> [SpoolEntry] {
        var entries: [SpoolEntry] = []
        var position = events.spool.start
        while true {
            let reading = try events.spool.read(from: position, maximumBytes: 1 << 20)
            guard reading.next > position else { return entries }
            position = reading.next
            for record in reading.records { entries.append(try SpoolEntry(decoding: record.payload)) }
        }
    }

    func storedEvents() throws -> [ReportedEvent] {
        try entries().compactMap { entry in
            guard case .event(_, _, let row) = entry else { return nil }
            return try EventRow.decode(row).event
        }
    }

    /// How many reports were known already.
    func duplicates() throws -> Int {
        try entries().reduce(0) { sum, entry in
            guard case .duplicates(_, let count) = entry else { return sum }
            return sum + Int(count)
        }
    }

    /// Reasons and texts.
    func rejected() throws -> [(reason: String, text: String)] {
        try entries().compactMap { entry in
            guard case .rejected(_, _, let reason, let raw) = entry else { return nil }
            return (reason, String(decoding: raw, as: UTF8.self))
        }
    }

    /// Runs an input during the body, and then stops it gracefully.
    ///
    /// - Parameter make: gets what to call when it listens.
    func run<Value>(
        _ make: (_ onListening: @escaping @Sendable (Int) -> Void) throws -> some Service, _ body: (Int) async throws -> Value
    ) async throws -> Value {
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        let group = ServiceGroup(services: [try make { listening.yield($0) }], logger: logger)
        let run = Task {
            defer { listening.finish() }
            try await group.run()
        }
        guard let port = await ports.first(where: { _ in true }) else {
            try await run.value
            throw NotListening()
        }
        do {
            let value = try await body(port)
            await group.triggerGracefulShutdown()
            try await run.value
            return value
        } catch {
            await group.triggerGracefulShutdown()
            try? await run.value
            throw error
        }
    }

    /// NDJSON over TCP.
    func runEvents<Value>(
        token: String? = nil, tls: TLSIdentity? = nil, limits: StreamInput.Limits = .init(), budget: Int = 64 << 20,
        _ body: (Int) async throws -> Value
    ) async throws -> Value {
        try await run({ [intake, logger] in
            StreamInput(
                .tcp, at: .port(host: "127.0.0.1", 0), format: .events(token: token.map { IngestToken($0) }), tls: tls,
                limits: limits, intake: intake, budget: ByteBudget(budget), logger: logger, onListening: $0)
        }, body)
    }

    /// Syslog over TCP.
    func runSyslog<Value>(tls: TLSIdentity? = nil, _ body: (Int) async throws -> Value) async throws -> Value {
        try await run({ [intake, logger] in
            StreamInput(
                .syslogTCP, at: .port(host: "127.0.0.1", 0), format: .syslog(RuleBook.standard.lines), tls: tls, intake: intake,
                budget: ByteBudget(64 << 20), logger: logger, onListening: $0)
        }, body)
    }

    /// Syslog over UDP.
    func runDatagrams<Value>(maximumWaitingBytes: Int = 4 << 20, _ body: (Int) async throws -> Value) async throws -> Value {
        try await run({ [intake, logger] in
            DatagramInput(
                host: "127.0.0.1", port: 0, rules: RuleBook.standard.lines, maximumWaitingBytes: maximumWaitingBytes,
                intake: intake, logger: logger, onListening: $0)
        }, body)
    }
}

struct NotListening: Error {}

/// One event as a line of JSON.
func eventLine(_ number: Int, details: String = "Somebody did something.") -> String {
    #"{"source":"test","id":"\#(number)","type":"authn_login_fail","severity":"medium","details":"\#(details)"}"# + "\n"
}
