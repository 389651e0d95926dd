import FoundationEssentials

/// The rules of all files of a folder: what lines of logs mean, and which events together are an event of their own.
public struct RuleBook: Sendable {
    public let lines: LineRules
    public let detections: [DetectionRule]

    /// The rules of `deploy/rules`, which are built into the program.
    public static let standard: RuleBook = {
        do {
            return try RuleBook(contentsOf: embeddedRules)
        } catch {
            fatalError("deploy/rules:\n\(error)")
        }
    }()

    /// Reads all files of the folder whose names end in `.yml`, in the order of their names.
    ///
    /// Throws all problems together.
    public init(loading folder: String) throws(RuleFileError) {
        var files: [RuleFile] = []
        var problems: [RuleFileError.Problem] = []
        do {
            let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yml") }.sorted()
            if names.isEmpty { problems.append(.init(file: folder, line: nil, sentence: "There is no .yml file in this folder.")) }
            for name in names {
                do {
                    files.append(RuleFile(name: name, text: try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)))
                } catch {
                    problems.append(.init(file: name, line: nil, sentence: "The file cannot be read, or is not UTF-8."))
                }
            }
        } catch {
            problems.append(.init(file: folder, line: nil, sentence: "The folder cannot be read."))
        }
        guard problems.isEmpty else { throw RuleFileError(problems: problems) }
        try self.init(contentsOf: files)
    }

    /// Rules in one file come before those in the next one.
    ///
    /// Throws all problems together.
    public init(contentsOf files: [RuleFile]) throws(RuleFileError) {
        var reader = RuleFileReader()
        for file in files { reader.read(file) }
        self = try reader.finish()
    }

    init(lines: LineRules, detections: [DetectionRule]) {
        self.lines = lines
        self.detections = detections
    }
}

/// A file of rules: YAML, see docs/rules.md.
public struct RuleFile: Sendable {
    public let name: String
    public let text: String

    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}

/// All that is wrong with the rule files.
public struct RuleFileError: Error, Equatable, Sendable, CustomStringConvertible {
    public struct Problem: Equatable, Sendable, CustomStringConvertible {
        public let file: String
        /// From 1. Nil: it is about the file.
        public let line: Int?
        public let sentence: String

        public var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): \(sentence)" }
    }

    public let problems: [Problem]

    /// One line for each.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
