import Development
import Foundation

/// The real nginx, with the configuration that the project ships.
struct Proxy {
    let port: Int
    private let child: ChildProcess

    /// - Parameters:
    ///   - configuration: the path of `deploy/nginx/attune.conf`. Its ports and its list of workers are replaced.
    ///   - folder: for what nginx writes.
    static func start(
        configuration: String, folder: String, workers: [Int], note: @escaping @Sendable (String) -> Void
    ) async throws -> Proxy {
        let port = try LocalPort.findFree()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let site = try adapted(String(contentsOfFile: configuration, encoding: .utf8), port: port, workers: workers)
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(folder)/\($0);" }
        let main = """
            daemon off;
            \(geteuid() == 0 ? "user root;" : "")
            worker_processes 1;
            pid \(folder)/nginx.pid;
            error_log \(folder)/error.log warn;
            events { worker_connections 4096; }
            http {
                access_log off;
                \(temporary.joined(separator: "\n    "))
            \(site)
            }
            """
        let path = folder + "/nginx.conf"
        try main.write(toFile: path, atomically: true, encoding: .utf8)
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"]
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        guard let program else { throw CheckError("nginx is missing: install nginx") }
        let child = try await ChildProcess.start(
            Command(program, ["-c", path, "-e", folder + "/error.log"], output: .lines { note("nginx | \($0)") }))
        return Proxy(port: port, child: child)
    }

    /// The configuration with our ports, and a header by which clients learn which worker they are on.
    static func adapted(_ configuration: String, port: Int, workers: [Int]) throws -> String {
        var lines: [String] = []
        var hasWorkers = false
        var hasPort = false
        for line in configuration.split(separator: "\n", omittingEmptySubsequences: false) {
            if let match = line.firstMatch(of: #/^(\s*)server 127\.0\.0\.1:\d+(.*);/#) {
                if !hasWorkers { lines += workers.map { "\(match.1)server 127.0.0.1:\($0)\(match.2);" } }
                hasWorkers = true
            } else if let match = line.firstMatch(of: #/^(\s*)listen /#) {
                if !hasPort { lines += ["\(match.1)listen 127.0.0.1:\(port);", "\(match.1)add_header Attune-Worker $upstream_addr always;"] }
                hasPort = true
            } else {
                lines.append(String(line))
            }
        }
        guard hasWorkers, hasPort else { throw CheckError("the nginx configuration has no upstream servers or no listen") }
        return lines.joined(separator: "\n")
    }

    func stop() async {
        child.stop(SIGTERM, grace: .seconds(5))
        _ = await child.wait()
    }
}

/// The checker itself cannot go on.
struct CheckError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
