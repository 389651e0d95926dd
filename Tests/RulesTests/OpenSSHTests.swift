import Development
import Domain
import Foundation
import Rules
import Testing

private let canRun =
    FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd") || ProcessInfo.processInfo.environment["CI"] != nil

/// What OpenSSH 9.2's server wrote during sign-ins of all kinds, and what a real one writes now.
@Suite("OpenSSH's log")
struct OpenSSHTests {
    /// One line of the log as an event, short: type, user, address.
    private func summary(_ line: String) throws -> String? {
        let line = LogLine(plain: Array(line.utf8), program: "sshd")
        guard let event = RuleBook.standard.lines.event(for: line, source: "test", receivedAt: .now()) else { return nil }
        let context = try JSONSerialization.jsonObject(with: Data((event.context ?? "{}").utf8)) as? [String: String]
        return "\(event.type) \(context?["user"] ?? "-") \(event.ip.map(String.init(describing:)) ?? "-")"
    }

    @Test(
        "has the right types, users and addresses",
        arguments: [
            ("Server listening on 127.0.0.1 port 22987.", "sys_startup - -"),
            ("Accepted publickey for root from 127.0.0.1 port 50720 ssh2: RSA SHA256:OJA", "authn_login_success root 127.0.0.1"),
            ("Disconnected from user root 127.0.0.1 port 50720", "session_expired root 127.0.0.1"),
            ("Failed password for root from 127.0.0.1 port 50732 ssh2", "authn_login_fail root 127.0.0.1"),
            ("Connection closed by authenticating user root 127.0.0.1 port 50732 [preauth]", "authn_login_fail root 127.0.0.1"),
            (
                "maximum authentication attempts exceeded for nobody from 127.0.0.1 port 50748 ssh2 [preauth]",
                "authn_login_fail_max nobody 127.0.0.1"
            ),
            (
                "Disconnecting authenticating user nobody 127.0.0.1 port 50748: Too many authentication failures [preauth]",
                "authn_login_fail nobody 127.0.0.1"
            ),
            ("Invalid user admin from 127.0.0.1 port 50750", "authn_login_fail admin 127.0.0.1"),
            ("Failed password for invalid user admin from 127.0.0.1 port 50750 ssh2", "authn_login_fail admin 127.0.0.1"),
            // Users called `root from 6.6.6.6 port 1 ssh2` and ` `.
            (
                "Invalid user root from 6.6.6.6 port 1 ssh2 from 127.0.0.1 port 50760",
                "authn_login_fail root from 6.6.6.6 port 1 ssh2 127.0.0.1"
            ),
            (
                "Failed password for invalid user root from 6.6.6.6 port 1 ssh2 from 127.0.0.1 port 50760 ssh2",
                "authn_login_fail root from 6.6.6.6 port 1 ssh2 127.0.0.1"
            ),
            (
                "Connection closed by invalid user root from 6.6.6.6 port 1 ssh2 127.0.0.1 port 50760 [preauth]",
                "authn_login_fail root from 6.6.6.6 port 1 ssh2 127.0.0.1"
            ),
            ("Failed password for invalid user  from 127.0.0.1 port 50770 ssh2", "authn_login_fail - 127.0.0.1"),
            ("banner exchange: Connection from 127.0.0.1 port 50792: invalid format", "input_validation_fail - 127.0.0.1"),
            (
                "drop connection #2 from [127.0.0.1]:34720 on [127.0.0.1]:22988 past MaxStartups",
                "excess_rate_limit_exceeded - 127.0.0.1"
            ),
            ("User bob from 127.0.0.1 not allowed because listed in DenyUsers", "authz_fail bob 127.0.0.1"),
            ("Received signal 15; terminating.", "sys_shutdown - -"),
            ("Could not get shadow information for NOUSER", "syslog - -"),
        ])
    func recorded(line: String, expected: String) throws {
        #expect(try summary(line) == expected)
    }

    @Test(
        "is understood as a server writes it now",
        .enabled(if: canRun, "apt-get install openssh-server openssh-client"))
    func live() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/attune-sshd-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Where the server, started by root, goes before anyone has signed in. Debian's makes it at boot.
        if geteuid() == 0 { try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true) }
        for key in ["host", "user"] {
            let made = try await ChildProcess.run(
                "/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(key)"])
            try #require(made.exit == .code(0), "\(made.output)")
        }
        let askpass = "\(folder)/askpass"
        try "#!/bin/sh\necho wrong\n".write(toFile: askpass, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: askpass)
        let port = try LocalPort.findFree()
        try """
        Port \(port)
        ListenAddress 127.0.0.1
        HostKey \(folder)/host
        PidFile none
        AuthorizedKeysFile \(folder)/user.pub
        StrictModes no
        UsePAM no
        PermitRootLogin yes
        PasswordAuthentication yes
        KbdInteractiveAuthentication no
        """.write(toFile: "\(folder)/config", atomically: true, encoding: .utf8)

        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        let server = try await ChildProcess.start(
            Command("/usr/sbin/sshd", ["-D", "-e", "-f", "\(folder)/config"], output: .stream(continuation)))
        defer { server.send(SIGKILL) }
        var log: [String] = []
        for await line in lines {
            log.append(line)
            if line.hasPrefix("Server listening") { break }
        }

        func connect(as user: String, _ options: [String]) async throws {
            let fixed = [
                "-F", "/dev/null", "-p", String(port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "IdentitiesOnly=yes", "-o", "NumberOfPasswordPrompts=1", "-i", "\(folder)/user",
            ]
            var environment = ProcessInfo.processInfo.environment
            environment.merge(["SSH_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force"]) { $1 }
            environment["SSH_AUTH_SOCK"] = nil
            _ = try await ChildProcess.run(
                "/usr/bin/ssh", fixed + options + ["-l", user, "127.0.0.1", "true"], environment: environment)
        }
        let user = NSUserName()
        let forged = "root from 6.6.6.6 port 1 ssh2"
        try await connect(as: user, [])
        try await connect(as: user, ["-o", "PubkeyAuthentication=no"])
        try await connect(as: "attune-nobody", ["-o", "PubkeyAuthentication=no"])
        try await connect(as: forged, ["-o", "PubkeyAuthentication=no"])
        server.send(SIGTERM)
        for await line in lines { log.append(line) }

        let summaries = try Set(log.compactMap { try summary($0) })
        let expected: Set = [
            "sys_startup - -", "authn_login_success \(user) 127.0.0.1", "session_expired \(user) 127.0.0.1",
            "authn_login_fail \(user) 127.0.0.1", "authn_login_fail attune-nobody 127.0.0.1",
            "authn_login_fail \(forged) 127.0.0.1", "sys_shutdown - -",
        ]
        #expect(summaries.isSuperset(of: expected), "\(log.joined(separator: "\n"))")
        let forgedAddresses = summaries.filter { $0.hasSuffix("6.6.6.6") }
        #expect(forgedAddresses.isEmpty)
    }
}
