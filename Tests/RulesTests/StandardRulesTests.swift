import Domain
import Foundation
import Rules
import Testing

/// The rules of deploy/rules on lines that the real programs have written.
@Suite("The rules that come along")
struct StandardRulesTests {
    private let receivedAt = Instant(microseconds: 1_795_399_200_000_000)

    private func event(_ text: String) -> ReportedEvent? {
        let line = SyslogParser.parse(Array(text.utf8), receivedAt: receivedAt)
        return RuleBook.standard.lines.event(for: line, source: "test", receivedAt: receivedAt)
    }

    private func context(_ event: ReportedEvent?) throws -> [String: String] {
        try JSONSerialization.jsonObject(with: Data((event?.context ?? "{}").utf8)) as? [String: String] ?? [:]
    }

    @Test("each have an example, which has been seen to match")
    func examples() throws {
        let folder = URL(fileURLWithPath: #filePath).appending(path: "../../../deploy/rules").standardized
        // Throws when an example does not match.
        let book = try RuleBook(loading: folder.path)
        #expect(book.detections == RuleBook.standard.detections)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let lines = try String(contentsOf: folder.appending(path: name), encoding: .utf8).split(separator: "\n")
            func count(_ key: String) -> Int { lines.count { $0.trimmingCharacters(in: .whitespaces).hasPrefix(key) } }
            #expect(count("- line:") + count("- json:") == count("example:"), "\(name)")
        }
    }

    @Test(
        "know what programs write to syslog",
        arguments: [
            (
                "sudo:    alice : user NOT in sudoers ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id",
                "authz_fail", Severity.high, "alice"
            ),
            (
                "sudo:      bob : 3 incorrect password attempts ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id",
                "authn_login_fail", .medium, "bob"
            ),
            ("sudo:     root : PWD=/ ; USER=root ; COMMAND=/usr/bin/id", "authz_admin", .low, "root"),
            ("sudo:      bob : command not allowed ; PWD=/ ; USER=root ; COMMAND=/usr/bin/ls", "authz_fail", .high, "bob"),
            ("su[26749]: FAILED SU (to bob) alice on pts/0", "authn_login_fail", .medium, "alice"),
            ("su[26759]: (to bob) alice on pts/1", "authz_admin", .low, "alice"),
            (
                "sudo: pam_unix(sudo:auth): authentication failure; logname= uid=1001 euid=0 tty= ruser=bob rhost=  user=bob",
                "authn_login_fail", .low, "bob"
            ),
            (
                "sshd[27006]: pam_unix(sshd:session): session opened for user alice(uid=1001) by (uid=0)",
                "session_created", .low, "alice"
            ),
            ("su[26857]: pam_unix(su:session): session closed for user alice", "session_expired", .low, "alice"),
            (
                "useradd[26573]: new user: name=bob, UID=1002, GID=1002, home=/home/bob, shell=/bin/sh, from=none",
                "user_created", .medium, "bob"
            ),
            (
                #"postgres[29711]: [8-1] 2026-11-23 02:15:38.891 UTC [29711] FATAL:  password authentication failed for user "pg""#,
                "authn_login_fail", .medium, "pg"
            ),
            (
                "postgres[29702]: [6-1] 2026-11-23 02:15:36.925 UTC [29702] LOG:  database system is ready to accept connections",
                "sys_startup", .low, nil
            ),
            (
                #"vm nginx: 127.0.0.1 - - [23/Nov/2026:02:14:29 +0000] "GET /auth HTTP/1.1" 401 179 "-" "curl/7.88.1""#,
                "authn_login_fail", .low, nil
            ),
            (
                "su[26857]: pam_systemd(su:session): Failed to connect to system bus: No such file or directory",
                "syslog", .high, nil
            ),
        ] as [(String, String, Severity, String?)])
    func lines(text: String, type: String, severity: Severity, user: String?) throws {
        let known = try #require(event("<83>Nov 23 02:14:29 " + text))
        #expect(known.type == type)
        #expect(known.severity == severity)
        #expect(try context(known)["user"] == user)
    }

    @Test("do not let a command of sudo speak for somebody else")
    func forgedCommand() throws {
        let used = event(
            "<85>Nov 23 02:14:09 sudo:      bob : PWD=/tmp/a b ; USER=x ; COMMAND=y ; USER=root ; "
                + "COMMAND=/usr/bin/id 'q ; USER=alice ; COMMAND=/bin/true'")
        #expect(used?.type == "authz_admin")
        #expect(try context(used)["user"] == "bob")
    }

    @Test("do not let the fields of a request move its status or address")
    func forgedRequest() throws {
        let forged = event(
            #"<190>Nov 23 02:14:30 vm nginx: 192.0.2.7 - x] "GET / HTTP/1.1" 200 1 "-" "- [23/Nov/2026:02:14:30 +0000] "#
                + #""GET /auth HTTP/1.1" 401 153 "r\x22r" "x\x22 200 5 \x22a\x22 \x22b""#)
        #expect(forged?.type == "authn_login_fail")
        #expect(forged?.ip == IPAddress("192.0.2.7"))
        let error = event(
            "<187>Nov 23 02:14:30 vm nginx: 2026/11/23 02:14:30 [error] 1#1: *4 access forbidden by rule, client: 192.0.2.7, "
                + #"server: , request: "GET / HTTP/1.1", host: "x", referrer: "access forbidden by rule, client: 6.6.6.6, ""#)
        #expect(error?.ip == IPAddress("192.0.2.7"))
    }

    @Test("take an ordinary request for no event, and its time from the line otherwise")
    func accessLog() throws {
        func event(_ text: String) -> ReportedEvent? {
            RuleBook.standard.lines.event(
                for: LogLine(plain: Array(text.utf8), program: "nginx"), source: "test", receivedAt: receivedAt)
        }
        let ordinary = event(#"127.0.0.1 - - [23/Nov/2026:02:14:29 +0000] "GET / HTTP/1.1" 200 3 "-" "curl/7.88.1""#)
        #expect(ordinary == nil)
        let failed = try #require(event(#"127.0.0.1 - - [23/Nov/2026:02:14:29 +0000] "GET / HTTP/1.1" 502 3 "-" "curl/7.88.1""#))
        #expect(failed.type == "sys_crash")
        #expect(failed.occurredAt == Instant(microseconds: 1_795_400_069_000_000))
        #expect(failed.details == "502 for GET / HTTP/1.1")
    }

    @Test("raise an alarm after ten wrong passwords, before the API begins to refuse")
    func passwordGuessing() throws {
        let rule = try #require(RuleBook.standard.detections.first { $0.name == "password_guessing" })
        #expect(rule.when.types.contains("authn_login_fail"))
        #expect(rule.when.minimumSeverity == .low)
        #expect(rule.by == .account)
        #expect(rule.count <= 10)
        #expect(rule.raise.severity == .critical)
    }
}
