import Foundation

/// PostgreSQL's server programs of one version.
struct PostgresPrograms: Sendable {
    /// The folder of `initdb` and `postgres`.
    let directory: String

    /// The oldest version that Attune works with: column lists in publications.
    static let oldestVersion = 15

    /// Finds the programs that made an existing cluster, or, without one, the newest.
    ///
    /// Debian keeps each version in a folder of its own; elsewhere `pg_config` or the search path knows.
    ///
    /// - Parameter version: the major version in the cluster's `PG_VERSION`.
    static func find(version: Int?) async throws -> PostgresPrograms {
        var candidates: [(version: Int, directory: String)] = []
        let debian = "/usr/lib/postgresql"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: debian)) ?? [] {
            if let version = Int(name) { candidates.append((version, "\(debian)/\(name)/bin")) }
        }
        let searchPath = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        var others = searchPath
        if let tool = searchPath.map({ $0 + "/pg_config" }).first(where: FileManager.default.isExecutableFile(atPath:)) {
            others.insert(try await ChildProcess.run(tool, ["--bindir"]).output, at: 0)
        }
        for directory in others where isComplete(directory) {
            // "postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)"
            let output = try await ChildProcess.run(directory + "/postgres", ["--version"]).output
            if let match = output.firstMatch(of: /\) (\d+)/), let version = Int(match.1) {
                candidates.append((version, directory))
            }
        }
        candidates = candidates.filter { isComplete($0.directory) }

        if let version {
            guard let match = candidates.first(where: { $0.version == version }) else {
                throw DevelopmentError(
                    "the cluster was made by PostgreSQL \(version), whose programs are not here: install postgresql-\(version), "
                        + "or move the data with pg_upgrade")
            }
            return PostgresPrograms(directory: match.directory)
        }
        guard let newest = candidates.max(by: { $0.version < $1.version }), newest.version >= oldestVersion else {
            throw DevelopmentError(
                "PostgreSQL \(oldestVersion) or newer is not installed: apt-get install postgresql, or set DATABASE_URL")
        }
        return PostgresPrograms(directory: newest.directory)
    }

    private static func isComplete(_ directory: String) -> Bool {
        ["initdb", "postgres"].allSatisfy { FileManager.default.isExecutableFile(atPath: "\(directory)/\($0)") }
    }

    var initdb: String { directory + "/initdb" }
    var postgres: String { directory + "/postgres" }
}

/// Something about this machine stands in the way; the description says what, and what to do.
public struct DevelopmentError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}
