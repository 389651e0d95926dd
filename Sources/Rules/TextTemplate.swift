/// Text with placeholders in braces: `Password of {user} refused`. A brace itself is written twice.
struct TextTemplate: Equatable, Sendable {
    enum Part: Equatable, Sendable {
        case text(String)
        case placeholder(String)
    }

    private(set) var parts: [Part] = []

    init(_ template: String) throws(RuleProblem) {
        var text = ""
        var rest = template[...]
        while let character = rest.popFirst() {
            switch character {
            case "{" where rest.first == "{", "}" where rest.first == "}":
                text.append(character)
                rest.removeFirst()
            case "{":
                guard let end = rest.firstIndex(of: "}") else {
                    throw RuleProblem("'{' has no '}' behind it; for the brace itself write '{{'.")
                }
                if !text.isEmpty { parts.append(.text(text)) }
                text = ""
                parts.append(.placeholder(String(rest[..<end])))
                rest = rest[rest.index(after: end)...]
            case "}": throw RuleProblem("'}' has no '{' before it; for the brace itself write '}}'.")
            default: text.append(character)
            }
        }
        if !text.isEmpty { parts.append(.text(text)) }
    }

    /// Without placeholders.
    init(literal text: String) {
        parts = [.text(text)]
    }

    var placeholders: [String] { parts.compactMap { if case .placeholder(let name) = $0 { name } else { nil } } }

    /// - Parameter value: what stands for a placeholder. It is taken as it is, braces included.
    func filled(_ value: (String) -> String?) -> String {
        parts.reduce(into: "") { result, part in
            switch part {
            case .text(let text): result += text
            case .placeholder(let name): result += value(name) ?? ""
            }
        }
    }
}

/// What is wrong with a rule: a sentence for whoever wrote it.
struct RuleProblem: Error {
    let sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}
