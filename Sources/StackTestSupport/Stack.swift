import Development
import Foundation
import TestSupport
import Testing

/// A folder for a stack's data, and ports of its own. It can be started any number of times, one after the other.
public struct StackPlace: Sendable {
    public let root: String
    /// Of the first worker. The one behind it is for a second, the three behind that for the ingestor, and one for
    /// attune-metrics.
    public let port: Int
    /// Who runs it; nil: who runs the tests.
    public let user: String?

    public var dataFolder: String { root + "/data" }
    /// The ingestor's, for HTTP.
    public var ingestPort: Int { port + 2 }
    public var metricsPort: Int { port + 5 }
    public var url: String { "http://127.0.0.1:\(port)" }
    /// The second worker's, if there is one.
    public var secondURL: String { "http://127.0.0.1:\(port + 1)" }

    /// Lends a place, and removes what has become of it however `body` ends.
    public static func with(user: String? = nil, _ body: (StackPlace) async throws -> Void) async throws {
        let root = "/tmp/attune-stack-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
        let place = StackPlace(root: root, port: freePort(), user: user)
        defer {
            // For root the cluster may lie elsewhere, behind a link.
            if let elsewhere = try? FileManager.default.destinationOfSymbolicLink(atPath: place.dataFolder + "/postgresql") {
                try? FileManager.default.removeItem(atPath: elsewhere)
            }
            try? FileManager.default.removeItem(atPath: root)
        }
        if let user {
            let owner = try #require(getpwnam(user)).pointee.pw_uid
            try #require(chown(root, owner, gid_t.max) == 0)
        }
        try await body(place)
    }

    private static func freePort() -> Int {
        while true {
            // Below the ports that the system gives to connections: one of them might take a port before the stack does.
            let port = Int.random(in: 10_000..<32_000)
            let areFree = (0...5).allSatisfy { (try? LocalPort.check(host: "127.0.0.1", port: port + $0)) != nil }
            if areFree { return port }
        }
    }

    /// What the stack's programs are given: nothing of ours but the way to find other programs.
    public func environment(_ more: [String: String] = [:]) -> [String: String] {
        let names = ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH"]
        let inherited = ProcessInfo.processInfo.environment.filter { names.contains($0.key) }
        let own = [
            "ATTUNE_DATA_DIR": dataFolder, "ATTUNE_PORT": String(port), "ATTUNE_INGEST_HTTP_PORT": String(ingestPort),
            "ATTUNE_INGEST_TCP_PORT": String(port + 3), "ATTUNE_INGEST_SYSLOG_PORT": String(port + 4),
            "ATTUNE_METRICS_PORT": String(metricsPort),
            "ATTUNE_LOG_LEVEL": "notice",
        ]
        return inherited.merging(own) { $1 }.merging(more) { $1 }
    }

    /// Starts a stack and lends it when it is ready; stops it, if `body` has not, however that ends.
    public func withStack(
        _ environment: [String: String] = [:], program: String = BuiltProgram.attune, _ arguments: [String] = ["dev"],
        _ body: (Stack) async throws -> Void
    ) async throws {
        // Anywhere but where the sources are.
        let program = try await Program.start(
            "/usr/bin/env", ["--chdir=/", program] + arguments, environment: self.environment(environment), user: user)
        let stack = Stack(place: self, program: program)
        let outcome: Result<Void, any Error>
        do {
            try await program.waitForLine("Attune is ready: \(url)")
            outcome = .success(try await body(stack))
        } catch {
            outcome = .failure(error)
        }
        let family = stack.family
        _ = await stack.stop(SIGTERM)
        // Not in this task, which may have been cancelled: nobody may use the folder when it is removed.
        try await Task { try await eventually("the end of the stack's processes") { ProcessTable.running(family).isEmpty } }.value
        try outcome.get()
    }

    /// Runs a command of `attune` on this place.
    public func attune(_ arguments: String...) async throws -> String {
        let result = try await ChildProcess.run(BuiltProgram.attune, arguments, environment: environment(), user: user)
        try #require(result.exit == .code(0), "\(result.output)")
        return result.output
    }

    /// Runs SQL in the private cluster's database with psql.
    ///
    /// - Returns: the rows, one in a line, columns separated by `|`.
    public func psql(_ sql: String) async throws -> [String] {
        let database = try PrivateCluster.connectionString(dataDirectory: dataFolder)
        let result = try await ChildProcess.run(
            "/usr/bin/env",
            ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", database, "--command", sql])
        try #require(result.exit == .code(0), "\(result.output)")
        return result.output.split(separator: "\n").map(String.init)
    }

    /// The private cluster's files.
    public var cluster: String { dataFolder + "/postgresql" }

    /// The private cluster's server; nil when it does not run.
    public var postgresID: pid_t? {
        guard let text = try? String(contentsOfFile: cluster + "/data/postmaster.pid", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first.flatMap { pid_t($0) }
    }
}

/// A stack that runs.
public struct Stack: Sendable {
    public let place: StackPlace
    public let program: Program

    public var url: String { place.url }

    /// The processes that it consists of.
    public var family: Set<ProcessTable.Entry> { ProcessTable.family(of: program.child.processID) }

    /// Sends a signal, and waits for the end of `attune dev`; what will not end is killed.
    public func stop(_ signal: Int32) async -> ProcessExit {
        program.child.stop(signal, grace: .seconds(45))
        return await program.child.wait()
    }
}

/// The executables that were built with the tests.
public enum BuiltProgram {
    public static let folder =
        URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent().path
    public static let attune = folder + "/attune"
    public static let api = folder + "/attune-api"
    public static let ingest = folder + "/attune-ingest"
    public static let metrics = folder + "/attune-metrics"
    public static let migrate = folder + "/attune-migrate"
}
