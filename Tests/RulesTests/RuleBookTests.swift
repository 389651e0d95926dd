import Domain
import Foundation
import Rules
import Testing

@Suite("Rule files")
struct RuleBookTests {
    private let receivedAt = Instant(microseconds: 1_795_399_200_000_000)

    private func book(_ text: String) throws(RuleFileError) -> RuleBook {
        try RuleBook(contentsOf: [RuleFile(name: "own.yml", text: text)])
    }

    /// The problems, one on each line.
    private func problems(_ text: String) -> [String] {
        do throws(RuleFileError) {
            _ = try book(text)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    private func event(_ message: String, by rules: RuleBook, program: String = "door") -> ReportedEvent? {
        rules.lines.event(for: LogLine(program: program, message: message), source: "test", receivedAt: receivedAt)
    }

    private static let door = """
        lines:
          - program: [door, gate]
            prefixes:
              - "[{number}] "
            rules:
              - line: "{word:user} opened door {number:door} at {time} from {ip}"
                where: {door: [3, 5-7]}
                type: authz_admin
                severity: medium
                details: "{user} opened {door} from {ip}"
              - line: "{word:user} opened door {number:door} at {time} from {ip}"
                type: door_opened
                severity: low
              - line: "tick"
                ignore: true
        """

    @Test("make events of the lines they know")
    func events() throws {
        let rules = try book(Self.door)
        let line = LogLine(
            occurredAt: Instant(microseconds: 1), host: "web1", program: "gate", processID: "7", facility: "user",
            severity: .critical, messageID: "A", structuredData: "[a]",
            message: "[12] alice opened door 6 at 2026-11-23T01:14:17Z from 192.0.2.1")
        let event = rules.lines.event(for: line, source: "syslog:web1", receivedAt: receivedAt)
        #expect(
            event
                == ReportedEvent(
                    source: "syslog:web1", occurredAt: Instant(microseconds: 1_795_396_457_000_000), type: "authz_admin",
                    severity: .medium, ip: IPAddress("192.0.2.1"), details: "alice opened 6 from 192.0.2.1",
                    context: #"{"user":"alice","door":"6","program":"gate","host":"web1","process":"7","facility":"user","#
                        + #""message_id":"A","structured_data":"[a]","#
                        + #""message":"[12] alice opened door 6 at 2026-11-23T01:14:17Z from 192.0.2.1"}"#))
    }

    @Test("the first rule that fits decides, and without details of its own the message is them")
    func order() throws {
        let opened = try #require(try event("bob opened door 4 at 2026-11-23T01:14:17Z from 192.0.2.1", by: book(Self.door)))
        #expect(opened.type == "door_opened")
        #expect(opened.details == "bob opened door 4 at 2026-11-23T01:14:17Z from 192.0.2.1")
        #expect(opened.context == #"{"user":"bob","door":"4","program":"door"}"#)
    }

    @Test("can have lines ignored")
    func ignoring() throws {
        let verdict = try book(Self.door).lines.verdict(
            on: LogLine(program: "door", message: "tick"), source: "test", receivedAt: receivedAt)
        #expect(verdict.event == nil)
        #expect(verdict.rule?.description == "own.yml:14")
    }

    @Test("a line that no rule knows is an event too")
    func unknownLines() throws {
        let rules = try book(Self.door)
        let line = LogLine(program: "window", severity: .high, message: "tick \"\u{1}")
        let verdict = rules.lines.verdict(on: line, source: "test", receivedAt: receivedAt)
        #expect(verdict.rule == nil)
        #expect(
            verdict.event
                == ReportedEvent(
                    source: "test", occurredAt: receivedAt, type: "syslog", severity: .high, details: "tick \"\u{1}",
                    context: #"{"program":"window"}"#))
        let bare = rules.lines.event(for: LogLine(message: "x"), source: "test", receivedAt: receivedAt)
        #expect(bare?.context == nil)
    }

    @Test("what a program's own rules do not know is looked up among those for every program")
    func everyProgram() throws {
        let rules = try book(
            """
            lines:
              - {program: "*", rules: [{line: "out of memory", type: sys_crash, severity: high}]}
              - {program: door, rules: [{line: "open", type: door_opened, severity: low}]}
            """)
        #expect(event("out of memory", by: rules)?.type == "sys_crash")
        #expect(event("out of memory", by: rules, program: "other")?.type == "sys_crash")
        #expect(event("open", by: rules, program: "other")?.type == "syslog")
    }

    @Test("long texts are cut at a character, and captures stay JSON")
    func longTexts() throws {
        let rules = try book(
            #"lines: [{program: door, rules: [{line: "say {text:what}", type: said, severity: low, details: "{what}"}]}]"#)
        let said = try #require(event("say " + String(repeating: "é", count: 30_000), by: rules))
        #expect(said.details == String(repeating: "é", count: 2046) + "…")
        let context = try #require(said.context)
        let object = try JSONSerialization.jsonObject(with: Data(context.utf8)) as? [String: String]
        #expect(object?["what"] == String(repeating: "é", count: 510) + "…")
        #expect(context.utf8.count < 32768)
    }

    @Test("name fields of JSON lines by their path")
    func jsonLines() throws {
        let rules = try book(
            """
            lines:
              - program: door
                rules:
                  - json: {door.number: "{number:door}", who.0: "{word:user}", from: "{ip}", at: "{time}", locked: "false"}
                    where: {door: 1-9}
                    type: door_opened
                    severity: low
                    details: "{user} opened {door}"
            """)
        let known = #"{"door":{"number":7},"who":["al\u0000ice"],"from":"192.0.2.1","at":1795396457,"locked":false}"#
        let opened = try #require(event(known, by: rules))
        #expect(opened.details == "al\u{FFFD}ice opened 7")
        #expect(opened.ip == IPAddress("192.0.2.1"))
        #expect(opened.occurredAt == Instant(microseconds: 1_795_396_457_000_000))
        for other in [
            #"{"door":{"number":17},"who":["alice"],"from":"192.0.2.1","at":1795396457,"locked":false}"#,
            #"{"door":7,"who":["alice"],"from":"192.0.2.1","at":1795396457,"locked":false}"#,
            #"{"door":{"number":7},"who":[],"from":"192.0.2.1","at":1795396457,"locked":false}"#, "{", "{}", "[]", "7",
            String(repeating: "{\"a\":", count: 10_000),
        ] {
            #expect(event(other, by: rules)?.type == "syslog")
        }
    }

    @Test("have detections")
    func detections() throws {
        let detections = try book(
            """
            detections:
              - name: doors
                when: {types: [door_opened, door_forced], severity: medium, context: {building: [a, b], floor: 1}}
                by: network
                distinct: account
                count: 3
                within: 5m
                quiet: 2h
                raise: {type: break_in, severity: critical, details: "{count} of {key} in {within} {{}}"}
              - {name: short, when: door_opened, by: account, count: 1, within: 90s, raise: {type: x, severity: low, details: y}}
            """
        ).detections
        #expect(
            detections.first
                == DetectionRule(
                    name: "doors",
                    when: .init(
                        types: ["door_opened", "door_forced"], minimumSeverity: .medium,
                        context: ["building": ["a", "b"], "floor": ["1"]]),
                    by: .network, count: 3, within: .seconds(300), distinct: .account, quiet: .seconds(7200), raising: "break_in",
                    severity: .critical, details: "{count} of {key} in {within} {{}}"))
        #expect(detections.first?.raise.details(count: 4, key: "{count}") == "4 of {count} in 5m {}")
        #expect(detections.last?.when == .init(types: ["door_opened"]))
        #expect(detections.last?.quiet == .seconds(90))
    }

    @Test("all that is wrong is told at once, by file and line")
    func problems() {
        let found = problems(
            """
            lines:
              - program: door
                rules:
                  - line: "a {nothing}"
                    type: x
                    severity: low
                  - line: "b"
                    typ: x
                    severity: terrible
                  - line: "c {word:user}"
                    json: {}
                    type: x
                    severity: low
                  - line: "d {word:user}"
                    where: {door: 3}
                    type: "Not A Type"
                    severity: low
                  - line: "e"
                    type: x
                    severity: low
                    details: "{user}"
                  - line: "f"
                    ignore: true
                    type: x
              - program: gate
            detections:
              - {name: a, when: x, by: colour, count: 0, within: 5 minutes, raise: {type: y, severity: low, details: "{user}"}}
              - {name: b, when: x, by: ip, count: 1, within: 5m, raise: {type: x, severity: low, details: z}}
            else: 1
            """)
        let captures = "{ip}, {number}, {word}, {quoted}, {time}, {text}, {rest}"
        #expect(
            found == [
                "own.yml:29: 'else' is not known in a rule file; there are lines, detections.",
                "own.yml:4: '{nothing}' is no capture; there are \(captures), and with a name, as {word:user}.",
                "own.yml:8: 'typ' is not known in a rule; there are line, json, where, ignore, type, severity, details, example.",
                "own.yml:7: 'type' is missing.",
                "own.yml:10: A rule has either 'line' or 'json'.",
                "own.yml:15: Nothing is captured as 'door'.",
                "own.yml:16: A type has lower-case letters, digits, '_' and '.', 128 of them at most: authn_login_fail.",
                "own.yml:21: Nothing is captured as 'user', which the details name.",
                "own.yml:23: A rule with 'ignore: true' has no type, severity or details; other rules do not have 'ignore'.",
                "own.yml:25: 'rules' is missing.",
                "own.yml:27: Expected one of account, user, ip, network.",
                "own.yml:27: A count is a number from 1 to 1000000.",
                "own.yml:27: A duration is a number and one of s, m, h, d: 5m.",
                "own.yml:27: '{user}' is not known here; there are {count}, {key} and {within}.",
                "own.yml:28: It counts the events that it raises itself; give those another type.",
            ])
    }

    @Test("an example that its rule does not take is a problem")
    func examples() {
        #expect(
            problems(
                """
                lines:
                  - program: door
                    rules:
                      - {line: "open {rest}", type: a, severity: low}
                      - {line: "open now", type: b, severity: low, example: "open now"}
                      - {line: "close", type: c, severity: low, example: ["close", "closed"]}
                """) == [
                    "own.yml:5: The example is taken by the rule at own.yml:4, which comes first.",
                    "own.yml:6: The example does not match the rule.",
                ])
    }

    @Test("what is not YAML is a problem", arguments: [
        ("lines: [", "own.yml:2: This is not YAML: "), ("a: &x *y", "own.yml:1: This is not YAML: "),
        ("lines: []\nlines: []", "own.yml:1: 'lines' stands there twice."), ("- 1", "own.yml:1: Expected a rule file"),
        ("lines: 1", "own.yml:1: Expected a list."), ("lines: [1]", "own.yml:1: Expected a section of 'lines'"),
    ])
    func notYAML(text: String, beginning: String) {
        let first = problems(text).first ?? ""
        #expect(first.hasPrefix(beginning), "\(first)")
    }

    @Test("an empty file has no rules")
    func emptyFile() throws {
        #expect(try book("# nothing\n").detections.isEmpty)
    }

    @Test("are read from a folder in the order of their names")
    func folder() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/attune-rules-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func problem() -> String? {
            do throws(RuleFileError) {
                _ = try RuleBook(loading: folder)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(problem() == "\(folder): There is no .yml file in this folder.")
        func write(_ type: String, to name: String) throws {
            try "lines: [{program: door, rules: [{line: open, type: \(type), severity: low}]}]"
                .write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        try write("second", to: "b.yml")
        try write("first", to: "a.yml")
        try write("none", to: "0.yaml.bak")
        #expect(event("open", by: try RuleBook(loading: folder))?.type == "first")
        try Data([0xFF]).write(to: URL(fileURLWithPath: "\(folder)/c.yml"))
        #expect(problem() == "c.yml: The file cannot be read, or is not UTF-8.")
        try FileManager.default.removeItem(atPath: folder)
        #expect(problem() == "\(folder): The folder cannot be read.")
    }
}
