import Domain
import Wire

/// What the lines of logs mean.
public struct LineRules: Sendable {
    /// A line, judged.
    public struct Verdict: Equatable, Sendable {
        /// Where the rule that knew the line is written. Nil: no rule did.
        public let rule: RulePlace?
        /// Nil: the rule says that the line is to be ignored.
        public let event: ReportedEvent?
    }

    private let programs: [String: ProgramRules]
    private let anyProgram: ProgramRules?

    /// - Parameter programs: by name; `*` stands for every program.
    init(_ programs: [String: ProgramRules]) {
        self.programs = programs
        anyProgram = programs["*"]
    }

    /// The event that a line is.
    ///
    /// - Parameters:
    ///   - source: of the event. Its `id` is nil.
    ///   - receivedAt: the event's time when neither the line nor its message has one.
    /// - Returns: nil when a rule says that the line is to be ignored. A line that no rule knows is an event `syslog` with the
    ///   line's own severity.
    public func event(for line: LogLine, source: String, receivedAt: Instant) -> ReportedEvent? {
        verdict(on: line, source: source, receivedAt: receivedAt).event
    }

    /// The same, with the rule that decided.
    public func verdict(on line: LogLine, source: String, receivedAt: Instant) -> Verdict {
        guard let (rule, match) = find(line, receivedAt: receivedAt) else {
            let event = ReportedEvent(
                source: source, occurredAt: line.occurredAt ?? receivedAt, type: SecurityEventType.syslog, severity: line.severity,
                details: LineContext.details(line.message), context: LineContext.text(of: line))
            return Verdict(rule: nil, event: event)
        }
        guard case .report(let type, let severity, let details) = rule.outcome else { return Verdict(rule: rule.place, event: nil) }
        let sentence = details?.filled { name in name == "ip" ? match.ip?.description : match[name] }
        let event = ReportedEvent(
            source: source, occurredAt: match.time ?? line.occurredAt ?? receivedAt, type: type, severity: severity, ip: match.ip,
            details: LineContext.details(sentence ?? line.message),
            context: LineContext.text(of: line, captures: match.values, includingMessage: sentence != nil))
        return Verdict(rule: rule.place, event: event)
    }

    private func find(_ line: LogLine, receivedAt: Instant) -> (LineRule, LinePattern.Match)? {
        if let program = line.program, let rules = programs[program], let found = rules.find(line.message, receivedAt: receivedAt) {
            return found
        }
        return anyProgram?.find(line.message, receivedAt: receivedAt)
    }
}

/// Where a rule is written.
public struct RulePlace: Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// From 1.
    public let line: Int

    public var description: String { "\(file):\(line)" }
}

/// A class, since copies of all that is in it would cost more than looking at a line.
final class LineRule: Sendable {
    enum Form: Sendable {
        case line(LinePattern)
        /// Fields of a JSON object, and what each of them looks like.
        case json([(path: [String], pattern: LinePattern)])
    }

    enum Outcome: Sendable {
        case ignore
        /// Without `details` the event's details are the message.
        case report(type: String, severity: Severity, details: TextTemplate?)
    }

    let place: RulePlace
    let form: Form
    /// What has to be true of captures.
    let conditions: [(name: String, values: [ExpectedValue])]
    let outcome: Outcome

    init(place: RulePlace, form: Form, conditions: [(name: String, values: [ExpectedValue])], outcome: Outcome) {
        self.place = place
        self.form = form
        self.conditions = conditions
        self.outcome = outcome
    }

    func accepts(_ match: LinePattern.Match) -> Bool {
        conditions.allSatisfy { name, values in
            guard let text = match[name] else { return false }
            return values.contains { $0.matches(text) }
        }
    }
}

/// A value that a rule asks for: a text, or a range of numbers.
enum ExpectedValue: Equatable, Sendable {
    case text(String)
    case numbers(ClosedRange<Int>)

    func matches(_ text: String) -> Bool {
        switch self {
        case .text(let expected): text == expected
        case .numbers(let range): Int(text).map(range.contains) ?? false
        }
    }
}

/// The rules for one program's lines, in the order in which they are tried.
struct ProgramRules: Sendable {
    /// Each of them is taken from the front of the message if it is there.
    private let prefixes: [LinePattern]
    private let jsonRules: [LineRule]
    /// By a line's first byte, the rules that can match it: few, of many.
    private let lineRules: [[PatternRules]]

    init(prefixes: [LinePattern], rules: [LineRule]) {
        self.prefixes = prefixes
        jsonRules = rules.filter { if case .json = $0.form { true } else { false } }
        var groups: [PatternRules] = []
        for rule in rules {
            guard case .line(let pattern) = rule.form else { continue }
            if let last = groups.last, last.pattern == pattern {
                groups[groups.count - 1] = PatternRules(pattern: pattern, rules: last.rules + [rule])
            } else {
                groups.append(PatternRules(pattern: pattern, rules: [rule]))
            }
        }
        lineRules = (0...UInt8.max).map { [groups] byte in
            groups.filter { $0.pattern.firstByte == nil || $0.pattern.firstByte == byte }
        }
    }

    /// The first rule that knows the message.
    func find(_ message: String, receivedAt: Instant) -> (LineRule, LinePattern.Match)? {
        var message = message
        return message.withUTF8 { find($0, receivedAt: receivedAt) }
    }

    private func find(_ message: UnsafeBufferPointer<UInt8>, receivedAt: Instant) -> (LineRule, LinePattern.Match)? {
        // Some programs align what they write.
        var start = message.firstIndex { $0 != UInt8(ascii: " ") } ?? message.count
        var before = LinePattern.Match()
        for prefix in prefixes {
            guard let (match, end) = prefix.matchPrefix(message, from: start, receivedAt: receivedAt) else { continue }
            before.merge(match)
            start = end
        }
        guard start < message.count else { return nil }
        if message[start] == UInt8(ascii: "{"), !jsonRules.isEmpty,
            let object = try? JSON(parsing: UnsafeBufferPointer(rebasing: message[start...]))
        {
            for rule in jsonRules {
                if let match = rule.match(object, after: before, receivedAt: receivedAt) { return (rule, match) }
            }
        }
        for candidate in lineRules[Int(message[start])] {
            guard var match = candidate.pattern.match(message, from: start, receivedAt: receivedAt),
                let rule = candidate.rules.first(where: { $0.accepts(match) })
            else { continue }
            match.merge(before)
            return (rule, match)
        }
        return nil
    }
}

/// Rules that stand one behind the other and differ in their conditions only.
private final class PatternRules: Sendable {
    let pattern: LinePattern
    let rules: [LineRule]

    init(pattern: LinePattern, rules: [LineRule]) {
        self.pattern = pattern
        self.rules = rules
    }
}

extension LineRule {
    fileprivate func match(_ object: JSON, after before: LinePattern.Match, receivedAt: Instant) -> LinePattern.Match? {
        guard case .json(let fields) = form else { return nil }
        var whole = before
        for (path, pattern) in fields {
            guard var text = object.text(at: path),
                let match = text.withUTF8({ pattern.match($0, receivedAt: receivedAt) })
            else { return nil }
            whole.merge(match)
        }
        return accepts(whole) ? whole : nil
    }
}

extension LinePattern.Match {
    /// What was captured under a name.
    subscript(_ name: String) -> String? { values.first { $0.name == name }?.text }

    /// What is there already stays.
    mutating func merge(_ other: LinePattern.Match) {
        for value in other.values where self[value.name] == nil { values.append(value) }
        ip = ip ?? other.ip
        time = time ?? other.time
    }
}

extension JSON {
    /// A field's value as text. Arrays are gone through by number: `["user_agent", "0"]`. Nil for what is not there, and for
    /// arrays and objects.
    fileprivate func text(at path: [String]) -> String? {
        var value = self
        for name in path {
            switch value {
            case .array(let elements):
                guard let index = Int(name), elements.indices.contains(index) else { return nil }
                value = elements[index]
            default:
                guard let member = value[name] else { return nil }
                value = member
            }
        }
        switch value {
        // A string in JSON can hold what a line cannot.
        case .string(let text): return text.replacingNUL()
        case .bool, .number, .null: return value.text
        case .brokenString, .array, .object: return nil
        }
    }
}

/// What is kept of a line beside the event's own fields.
enum LineContext {
    /// In bytes. What is longer is cut.
    private static let longestDetails = 4096
    private static let longestCapture = 1024

    /// The fields that every line can have; captures have other names.
    static let ownNames: Set<String> = [
        "ip", "program", "host", "process", "facility", "message_id", "structured_data", "message",
    ]

    static func details(_ text: String) -> String { LogText.cut(text, to: longestDetails) }

    /// A JSON object, flat, all of whose values are strings. Nil when there is nothing to keep.
    static func text(
        of line: LogLine, captures: [(name: String, text: String)] = [], includingMessage: Bool = false
    ) -> String? {
        var writer = JSONWriter(capacity: 192)
        writer.beginObject()
        for (name, text) in captures {
            writer.key(name)
            writer.string(LogText.cut(text, to: longestCapture))
        }
        func write(_ name: StaticString, _ text: String?) {
            guard let text else { return }
            writer.field(name)
            writer.string(text)
        }
        write("program", line.program)
        write("host", line.host)
        write("process", line.processID)
        write("facility", line.facility)
        write("message_id", line.messageID)
        write("structured_data", line.structuredData.map { LogText.cut($0, to: longestDetails) })
        if includingMessage { write("message", details(line.message)) }
        writer.endObject()
        return writer.bytes.count > 2 ? String(decoding: writer.bytes, as: UTF8.self) : nil
    }
}
