/// One setting: its variable, what it means, and how its text is read.
public struct Setting<Value: Sendable>: Sendable {
    /// The environment variable.
    public let name: String
    /// One line: type, unit, range.
    public let meaning: String
    /// Read like a given value; nil: there is none.
    public let defaultText: String?
    /// Secrets print as stars, and can be given as a file: variable `<name>_FILE`.
    public let isSecret: Bool
    let parse: @Sendable (String) throws(InvalidText) -> Value

    init(
        _ name: String, _ meaning: String, default defaultText: String? = nil, isSecret: Bool = false,
        parse: @escaping @Sendable (String) throws(InvalidText) -> Value
    ) {
        self.name = name
        self.meaning = meaning
        self.defaultText = defaultText
        self.isSecret = isSecret
        self.parse = parse
    }

    /// For the help of a command-line option.
    public var help: String {
        let standard = (defaultText ?? "").isEmpty ? "" : ", default \(defaultText!)"
        return "\(meaning) [\(name)\(standard)]"
    }
}

/// A text that a setting does not take: what it should have been.
struct InvalidText: Error {
    let expected: String
    init(_ expected: String) { self.expected = expected }
}

extension Setting<String> {
    /// Any text.
    static func text(_ name: String, _ meaning: String, default defaultText: String? = nil) -> Self {
        Setting(name, meaning, default: defaultText) { text throws(InvalidText) in text }
    }
}

extension Setting<Secret<String>> {
    static func secret(_ name: String, _ meaning: String) -> Self {
        Setting(name, meaning, isSecret: true) { text throws(InvalidText) in Secret(text) }
    }
}

extension Setting<Int> {
    static func number(_ name: String, _ meaning: String, default number: Int, in range: ClosedRange<Int>) -> Self {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        return Setting(name, "\(meaning); \(expected)", default: String(number)) { text throws(InvalidText) in
            guard let number = Int(text), range.contains(number) else { throw InvalidText(expected) }
            return number
        }
    }

    static func port(_ name: String, _ meaning: String, default number: Int) -> Self {
        self.number(name, meaning, default: number, in: 1...65535)
    }
}

extension Setting<Bool> {
    static func flag(_ name: String, _ meaning: String, default value: Bool) -> Self {
        let expected = "true or false"
        return Setting(name, "\(meaning); \(expected)", default: String(value)) { text throws(InvalidText) in
            guard let value = Bool(text.lowercased()) else { throw InvalidText(expected) }
            return value
        }
    }
}

extension Setting where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
    static func choice(_ name: String, _ meaning: String, default value: Value) -> Self {
        let choices = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return Setting(name, "\(meaning); one of \(choices)", default: value.rawValue) { text throws(InvalidText) in
            guard let value = Value(rawValue: text.lowercased()) else { throw InvalidText("one of \(choices)") }
            return value
        }
    }
}
