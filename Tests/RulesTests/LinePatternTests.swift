import Domain
import Testing

@testable import Rules

@Suite("Patterns of lines")
struct LinePatternTests {
    private func match(_ pattern: String, _ line: String) throws -> LinePattern.Match? {
        let pattern = try LinePattern(pattern)
        return Array(line.utf8).withUnsafeBufferPointer { pattern.match($0, receivedAt: Instant(microseconds: 0)) }
    }

    private func captures(_ pattern: String, _ line: String) throws -> [String: String]? {
        try match(pattern, line).map { Dictionary(uniqueKeysWithValues: $0.values.map { ($0.name, $0.text) }) }
    }

    @Test("must fit the whole line")
    func wholeLine() throws {
        #expect(try captures("Server up", "Server up") == [:])
        #expect(try captures("Server up", "Server up.") == nil)
        #expect(try captures("Server up", "A Server up") == nil)
        #expect(try captures("Server {rest}", "Server up.") == [:])
    }

    @Test(
        "capture what stands there",
        arguments: [
            ("user {word:user} in", "user alice in", ["user": "alice"]),
            ("{word:user}@{word:database} x", "alice@shop x", ["user": "alice", "database": "shop"]),
            ("port {number:port}", "port 22", ["port": "22"]),
            ("\"{quoted:a}\" \"{quoted:b}\"", #""x \" y" "z""#, ["a": #"x \" y"#, "b": "z"]),
            ("a {text:middle} b {number}", "a x b 1 b 2", ["middle": "x b 1"]),
            ("a {text:end}", "a b c", ["end": "b c"]),
            ("a {rest:end}", "a b c", ["end": "b c"]),
            ("{{{word:a}}}", "{x}", ["a": "x"]),
            ("from {ip:server}!", "from 192.0.2.1!", ["server": "192.0.2.1"]),
        ] as [(String, String, [String: String])])
    func capturing(pattern: String, line: String, expected: [String: String]) throws {
        #expect(try captures(pattern, line) == expected)
    }

    @Test(
        "do not take one thing for another",
        arguments: [
            ("port {number}", "port x"), ("port {number}", "port "), ("port {number}", "port 123456789012345678901"),
            ("user {word} in", "user  in"), ("user {word} in", "user a b in"), ("from {ip}", "from UNKNOWN"),
            ("from {ip}", "from 1.2.3"),
            ("\"{quoted}\"", #""a"b""#), ("\"{quoted}\"", #""a\"#), ("at {time}", "at noon"), ("a {text} b", "a b"),
        ])
    func mismatches(pattern: String, line: String) throws {
        #expect(try captures(pattern, line) == nil)
    }

    @Test("leave out what is empty or a dash")
    func nothing() throws {
        #expect(try captures("{word:a} [{text:b}]", "- []") == [:])
    }

    @Test(
        "find addresses",
        arguments: [
            ("from {ip}", "from 192.0.2.1", "192.0.2.1"), ("from {ip}", "from 2001:DB8::1", "2001:db8::1"),
            ("from {ip}", "from ::ffff:192.0.2.1", "192.0.2.1"), ("from {ip} port 1", "from fe80::1%eth0 port 1", "fe80::1"),
            ("from {ip}:{number}", "from 192.0.2.1:80", "192.0.2.1"), ("from {ip}.", "from 192.0.2.1.", "192.0.2.1"),
            ("from {ip}: x", "from 2001:db8::1: x", "2001:db8::1"), ("[{ip}]:{number}", "[2001:db8::1]:80", "2001:db8::1"),
        ])
    func addresses(pattern: String, line: String, expected: String) throws {
        #expect(try match(pattern, line)?.ip == IPAddress(expected))
    }

    @Test(
        "read times in the forms that logs have",
        arguments: [
            "2026-11-23T01:14:17Z", "2026-11-23 01:14:17 UTC", "2026/11/23 01:14:17", "23/Nov/2026:02:14:17 +0100",
            "2026-11-23 01:14:17.000", "1795396457.0", "Nov 23 2026 01:14:17",
        ])
    func times(text: String) throws {
        #expect(try match("{time}{rest}", text)?.time == Instant(microseconds: 1_795_396_457_000_000))
    }

    @Test("give a {text} its end at the last place that fits")
    func lastPlace() throws {
        let pattern = "Failed password for {text:user} from {ip} port {number:port} ssh2"
        let forged = "Failed password for root from 6.6.6.6 port 1 ssh2 from 192.0.2.7 port 50732 ssh2"
        let found = try #require(try match(pattern, forged))
        #expect(found.ip == IPAddress("192.0.2.7"))
        #expect(found["user"] == "root from 6.6.6.6 port 1 ssh2")
        #expect(found["port"] == "50732")
    }

    @Test("are refused with a reason when they cannot be understood", arguments: [
        ("", "empty"), ("a {", "no '}'"), ("a }", "no '{'"), ("{what}", "no capture"), ("{word:A}", "no name"),
        ("{word:}", "no name"), ("{word:message}", "taken"), ("{time:a}", "no name"), ("{word}{number}", "between"),
        ("{text}{rest}", "between"), ("{rest}a", "end"), ("{quoted} ", "behind"), ("{text} a {text}", "one {text}"),
        ("{time} {time}", "one {time}"), ("{ip} {ip}", "one {ip}"),
        ("{word:a} {number:a}", "twice"),
    ])
    func refusals(pattern: String, word: String) {
        let error = #expect(throws: RuleProblem.self) { try LinePattern(pattern) }
        let sentence = error?.sentence ?? ""
        #expect(sentence.contains(word))
        #expect(sentence.last == ".")
    }

    @Test("come to an end on lines that were made to be slow", arguments: [
        ("{text} from {ip} port {number} ssh2", " from 1.2.3.4 port 1 ssh"), ("{text}a{word:x}b", "a"), ("x{text}x{quoted}\"", "x"),
        ("{word:a}ab{word:b}ab{word:c} ", "a"), ("{text} {time} {word}.", " 2026-11-23T01:14:17Z"),
    ])
    func slowLines(pattern: String, piece: String) throws {
        let line = String(repeating: piece, count: 65536 / piece.utf8.count)
        #expect(try captures(pattern, line) == nil)
    }
}
