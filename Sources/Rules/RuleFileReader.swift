import Domain
import Yams

/// Reads rule files into a book, and collects what is wrong with them.
struct RuleFileReader {
    private struct Section {
        var prefixes: [LinePattern] = []
        var rules: [LineRule] = []
    }

    private struct Example {
        let text: String
        let program: String
        let rule: RulePlace
        let place: RulePlace
    }

    private var sections: [String: Section] = [:]
    private var examples: [Example] = []
    private var detections: [DetectionRule] = []
    private var problems: [RuleFileError.Problem] = []
    private var file = ""

    mutating func read(_ file: RuleFile) {
        self.file = file.name
        let root: Node?
        do {
            root = try compose(yaml: file.text)
        } catch {
            let (line, sentence) = Self.explain(error)
            problems.append(.init(file: file.name, line: line, sentence: sentence))
            return
        }
        // An empty file, or one that is all comment.
        guard let root else { return }
        guard let fields = fields(of: root, among: ["lines", "detections"], in: "a rule file") else { return }
        for section in list(fields["lines"]) { readSection(section) }
        for detection in list(fields["detections"]) { readDetection(detection) }
    }

    /// Throws all problems of all files.
    mutating func finish() throws(RuleFileError) -> RuleBook {
        let lines = LineRules(sections.mapValues { ProgramRules(prefixes: $0.prefixes, rules: $0.rules) })
        for example in examples { check(example, with: lines) }
        guard problems.isEmpty else { throw RuleFileError(problems: problems) }
        return RuleBook(lines: lines, detections: detections)
    }

    private mutating func check(_ example: Example, with lines: LineRules) {
        let line = LogLine(program: example.program, message: example.text)
        let decider = lines.verdict(on: line, source: "example", receivedAt: .now()).rule
        guard decider != example.rule else { return }
        let sentence =
            decider.map { "The example is taken by the rule at \($0), which comes first." }
            ?? "The example does not match the rule."
        problems.append(.init(file: example.place.file, line: example.place.line, sentence: sentence))
    }

    // MARK: Lines

    private mutating func readSection(_ node: Node) {
        guard let fields = fields(of: node, among: ["program", "prefixes", "rules"], in: "a section of 'lines'"),
            let program = require("program", in: fields, of: node), let rules = require("rules", in: fields, of: node)
        else { return }
        let programs = texts(program)
        let prefixes = list(fields["prefixes"]).compactMap { prefix -> LinePattern? in
            guard let pattern = pattern(prefix) else { return nil }
            guard pattern.isPrefix else {
                report(prefix, "A prefix has no {text}, and something other than {word} or {rest} at its end.")
                return nil
            }
            return pattern
        }
        let rulesAndExamples = list(rules).compactMap { readRule($0) }
        for name in programs {
            sections[name, default: Section()].prefixes += prefixes
            sections[name, default: Section()].rules += rulesAndExamples.map(\.rule)
        }
        for (rule, examples) in rulesAndExamples {
            for example in examples {
                guard let text = text(example) else { continue }
                for program in programs {
                    self.examples.append(Example(text: text, program: program, rule: rule.place, place: place(of: example)))
                }
            }
        }
    }

    private mutating func readRule(_ node: Node) -> (rule: LineRule, examples: [Node])? {
        let known = ["line", "json", "where", "ignore", "type", "severity", "details", "example"]
        guard let fields = fields(of: node, among: known, in: "a rule"), let form = readForm(fields, of: node) else { return nil }
        var names = form.names
        let conditions = readConditions(fields["where"], names: names)
        if form.hasIP { names.insert("ip") }
        guard let outcome = readOutcome(fields, of: node, names: names) else { return nil }
        let rule = LineRule(place: place(of: node), form: form, conditions: conditions, outcome: outcome)
        return (rule, fields["example"].map(listOrOne) ?? [])
    }

    private mutating func readForm(_ fields: [String: Node], of node: Node) -> LineRule.Form? {
        switch (fields["line"], fields["json"]) {
        case (let line?, nil):
            return pattern(line).map { .line($0) }
        case (nil, let json?):
            guard let mapping = json.mapping, !mapping.isEmpty else {
                report(json, "'json' names fields, and gives a pattern for each.")
                return nil
            }
            let fields = mapping.compactMap { key, value -> (path: [String], pattern: LinePattern)? in
                guard let path = text(key), let pattern = pattern(value) else { return nil }
                return (path.split(separator: ".").map(String.init), pattern)
            }
            return fields.count == mapping.count ? .json(fields) : nil
        default:
            report(node, "A rule has either 'line' or 'json'.")
            return nil
        }
    }

    private mutating func readConditions(_ node: Node?, names: Set<String>) -> [(name: String, values: [ExpectedValue])] {
        guard let node else { return [] }
        guard let mapping = node.mapping else {
            report(node, "'where' gives for names of captures the values that they may have.")
            return []
        }
        return mapping.compactMap { key, value in
            guard let name = text(key) else { return nil }
            guard names.contains(name) else {
                report(key, "Nothing is captured as '\(name)'.")
                return nil
            }
            return (name, texts(value).map(Self.expectedValue))
        }
    }

    /// `404`, `root`, or `500-599`.
    private static func expectedValue(_ text: String) -> ExpectedValue {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last else { return .text(text) }
        return .numbers(first...last)
    }

    private mutating func readOutcome(_ fields: [String: Node], of node: Node, names: Set<String>) -> LineRule.Outcome? {
        if let ignore = fields["ignore"] {
            guard text(ignore) == "true", fields["type"] == nil, fields["severity"] == nil, fields["details"] == nil else {
                report(ignore, "A rule with 'ignore: true' has no type, severity or details; other rules do not have 'ignore'.")
                return nil
            }
            return .ignore
        }
        guard let type = require("type", in: fields, of: node).flatMap({ eventType($0) }),
            let severity = require("severity", in: fields, of: node).flatMap({ choice($0, Severity.self) })
        else { return nil }
        var details: TextTemplate?
        if let node = fields["details"] {
            details = template(node)
            for name in details?.placeholders ?? [] where !names.contains(name) {
                report(node, "Nothing is captured as '\(name)', which the details name.")
            }
        }
        return .report(type: type, severity: severity, details: details)
    }

    // MARK: Detections

    private mutating func readDetection(_ node: Node) {
        let known = ["name", "when", "by", "distinct", "count", "within", "quiet", "raise"]
        guard let fields = fields(of: node, among: known, in: "a detection") else { return }
        let name = require("name", in: fields, of: node).flatMap { text($0) }
        let condition = require("when", in: fields, of: node).flatMap { readCondition($0) }
        let key = require("by", in: fields, of: node).flatMap { choice($0, DetectionRule.Key.self) }
        let distinct = fields["distinct"].flatMap { choice($0, DetectionRule.DistinctKey.self) }
        let count = require("count", in: fields, of: node).flatMap { readCount($0) }
        let within = require("within", in: fields, of: node).flatMap { duration($0) }
        let quiet = fields["quiet"].flatMap { duration($0) }
        let raise = require("raise", in: fields, of: node).flatMap { readRaise($0) }
        guard let name, let condition, let key, let count, let within, let raise else { return }
        guard !detections.contains(where: { $0.name == name }) else {
            return report(node, "There is another detection with the name '\(name)'.")
        }
        guard !condition.types.contains(raise.type) else {
            return report(node, "It counts the events that it raises itself; give those another type.")
        }
        detections.append(
            DetectionRule(
                name: name, when: condition, by: key, count: count, within: within, distinct: distinct, quiet: quiet,
                raising: raise.type, severity: raise.severity, details: raise.details))
    }

    /// A list of types, or a mapping with `types` and more.
    private mutating func readCondition(_ node: Node) -> DetectionRule.Condition? {
        guard node.mapping != nil else {
            let types = listOrOne(node).compactMap { eventType($0) }
            return types.isEmpty ? nil : DetectionRule.Condition(types: types)
        }
        guard let fields = fields(of: node, among: ["types", "severity", "context"], in: "'when'"),
            let types = require("types", in: fields, of: node).map({ listOrOne($0).compactMap { eventType($0) } }), !types.isEmpty
        else { return nil }
        var condition = DetectionRule.Condition(types: types)
        if let severity = fields["severity"].flatMap({ choice($0, Severity.self) }) { condition.minimumSeverity = severity }
        if let context = fields["context"] {
            guard let mapping = context.mapping else {
                report(context, "'context' gives for fields of the context the values that they must have.")
                return nil
            }
            for (key, value) in mapping {
                if let key = text(key) { condition.context[key] = texts(value) }
            }
        }
        return condition
    }

    private mutating func readCount(_ node: Node) -> Int? {
        guard let count = text(node).flatMap({ Int($0) }), (1...1_000_000).contains(count) else {
            report(node, "A count is a number from 1 to 1000000.")
            return nil
        }
        return count
    }

    private mutating func readRaise(_ node: Node) -> (type: String, severity: Severity, details: TextTemplate)? {
        guard let fields = fields(of: node, among: ["type", "severity", "details"], in: "'raise'") else { return nil }
        let type = require("type", in: fields, of: node).flatMap { eventType($0) }
        let severity = require("severity", in: fields, of: node).flatMap { choice($0, Severity.self) }
        guard let detailsNode = require("details", in: fields, of: node), let details = template(detailsNode), let type,
            let severity
        else { return nil }
        for name in details.placeholders where !DetectionRule.Raise.placeholders.contains(name) {
            report(detailsNode, "'{\(name)}' is not known here; there are {count}, {key} and {within}.")
        }
        return (type, severity, details)
    }

    // MARK: Values

    private func place(of node: Node) -> RulePlace { RulePlace(file: file, line: node.mark?.line ?? 1) }

    private mutating func report(_ node: Node, _ sentence: String) {
        problems.append(.init(file: file, line: place(of: node).line, sentence: sentence))
    }

    private mutating func fields(of node: Node, among known: [String], in what: String) -> [String: Node]? {
        guard let mapping = node.mapping else {
            report(node, "Expected \(what), with fields of \(known.joined(separator: ", ")).")
            return nil
        }
        var fields: [String: Node] = [:]
        for (key, value) in mapping {
            guard let name = text(key) else { continue }
            if known.contains(name) {
                fields[name] = value
            } else {
                report(key, "'\(name)' is not known in \(what); there are \(known.joined(separator: ", ")).")
            }
        }
        return fields
    }

    private mutating func require(_ name: String, in fields: [String: Node], of node: Node) -> Node? {
        if fields[name] == nil { report(node, "'\(name)' is missing.") }
        return fields[name]
    }

    private mutating func list(_ node: Node?) -> [Node] {
        guard let node else { return [] }
        if let sequence = node.sequence { return Array(sequence) }
        report(node, "Expected a list.")
        return []
    }

    private func listOrOne(_ node: Node) -> [Node] { node.sequence.map { Array($0) } ?? [node] }

    /// Whatever YAML takes it for: `no`, `1.0` and `5m` are texts here.
    private mutating func text(_ node: Node) -> String? {
        if let scalar = node.scalar { return scalar.string }
        report(node, "Expected a text.")
        return nil
    }

    private mutating func texts(_ node: Node) -> [String] {
        let nodes = listOrOne(node)
        if nodes.isEmpty { report(node, "The list is empty.") }
        return nodes.compactMap { text($0) }
    }

    private mutating func pattern(_ node: Node) -> LinePattern? {
        guard let text = text(node) else { return nil }
        do throws(RuleProblem) {
            return try LinePattern(text)
        } catch {
            report(node, error.sentence)
            return nil
        }
    }

    private mutating func template(_ node: Node) -> TextTemplate? {
        guard let text = text(node) else { return nil }
        do throws(RuleProblem) {
            return try TextTemplate(text)
        } catch {
            report(node, error.sentence)
            return nil
        }
    }

    private mutating func eventType(_ node: Node) -> String? {
        guard let text = text(node) else { return nil }
        let allowed = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
            }
        }
        guard allowed, (1...128).contains(text.utf8.count) else {
            report(node, "A type has lower-case letters, digits, '_' and '.', 128 of them at most: authn_login_fail.")
            return nil
        }
        return text
    }

    private mutating func duration(_ node: Node) -> Duration? {
        let duration = text(node).flatMap { DurationText.parse($0) }
        if duration == nil { report(node, "A duration is a number and one of s, m, h, d: 5m.") }
        return duration
    }

    private mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(_ node: Node, _ choices: Choice.Type) -> Choice? {
        let choice = text(node).flatMap { Choice(rawValue: $0) }
        if choice == nil { report(node, "Expected one of \(Choice.allCases.map(\.rawValue).joined(separator: ", ")).") }
        return choice
    }

    /// What the YAML reader has to say, in one line, and where.
    private static func explain(_ error: any Error) -> (line: Int?, sentence: String) {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            (mark.line, "This is not YAML: \(problem).")
        case .duplicatedKeysInMapping(let duplicates, let context):
            (context.mark.line, "'\(duplicates.sorted().joined(separator: "', '"))' stands there twice.")
        case .reader(let problem, _, _, _): (nil, "This is not YAML: \(problem).")
        default: (nil, "This is not YAML.")
        }
    }
}

extension LineRule.Form {
    private var patterns: [LinePattern] {
        switch self {
        case .line(let pattern): [pattern]
        case .json(let fields): fields.map(\.pattern)
        }
    }

    fileprivate var names: Set<String> { Set(patterns.flatMap(\.names)) }
    fileprivate var hasIP: Bool { patterns.contains(where: \.hasIP) }
}
