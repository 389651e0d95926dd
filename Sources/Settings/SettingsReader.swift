import Domain
import Foundation

/// Reads settings, and gathers what is wrong with any of them, so that all of it is reported at once.
public struct SettingsReader {
    private let environment: [String: String]
    private let overrides: [String: String]
    private var problems: [SettingsError.Problem] = []
    private(set) var effective: [EffectiveSetting] = []

    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - overrides: what was given as flags, by the variable's name; they win.
    public init(environment: [String: String], overrides: [String: String] = [:]) {
        self.environment = environment
        self.overrides = overrides
    }

    /// The setting's value, or nil when it has neither value nor default. Empty text counts as not given, since
    /// container tools can set a variable to nothing but not unset it.
    mutating func read<Value>(_ setting: Setting<Value>) -> Value? {
        let given = text(of: setting)
        guard let text = given?.text ?? setting.defaultText else {
            effective.append(EffectiveSetting(name: setting.name, meaning: setting.meaning, shown: "", origin: .unset))
            return nil
        }
        effective.append(
            EffectiveSetting(
                name: setting.name, meaning: setting.meaning, shown: setting.isSecret ? Secret(text).description : text,
                origin: given?.origin ?? .standard))
        do {
            return try setting.parse(text)
        } catch {
            report(setting.name, setting.isSecret ? "must be \(error.expected)" : "must be \(error.expected), not '\(text)'")
            // Something of the right type, so that reading can go on to the next problem.
            return setting.defaultText.flatMap { try? setting.parse($0) }
        }
    }

    /// The value of a setting that has a default.
    mutating func read<Value>(withDefault setting: Setting<Value>) -> Value {
        guard let value = read(setting) else { preconditionFailure("\(setting.name) has no valid default") }
        return value
    }

    var problemCount: Int { problems.count }

    mutating func report(_ name: String, _ message: String) {
        problems.append(SettingsError.Problem(name: name, message: message))
    }

    /// Throws if there was any problem.
    func finish() throws(SettingsError) {
        if !problems.isEmpty { throw SettingsError(problems: problems) }
    }

    private mutating func text<Value>(of setting: Setting<Value>) -> (text: String, origin: EffectiveSetting.Origin)? {
        if let text = overrides[setting.name], !text.isEmpty { return (text, .flag) }
        let direct = environment[setting.name].flatMap { $0.isEmpty ? nil : $0 }
        guard setting.isSecret, let path = environment[setting.name + "_FILE"], !path.isEmpty else {
            return direct.map { ($0, .environment) }
        }
        if direct != nil {
            report(setting.name, "is given twice, also as \(setting.name)_FILE")
            return nil
        }
        guard let contents = try? String(contentsOfFile: path, encoding: .utf8) else {
            report(setting.name + "_FILE", "must be a file that can be read, not '\(path)'")
            return nil
        }
        return (String(contents.trimmingBlanks()), .file)
    }
}

/// What a setting came out as; `attune doctor` shows these.
public struct EffectiveSetting: Sendable {
    public enum Origin: String, Sendable {
        case flag, environment, file, unset
        case standard = "default"
    }

    public let name: String
    public let meaning: String
    /// The text in effect; stars for secrets.
    public let shown: String
    public let origin: Origin
}

/// Everything that is wrong with the settings, by variable.
public struct SettingsError: Error, Equatable, CustomStringConvertible {
    public struct Problem: Equatable, Sendable {
        public let name: String
        /// Follows the name: "must be …".
        public let message: String
    }

    public let problems: [Problem]

    public var description: String {
        (["These settings are wrong:"] + problems.map { "  \($0.name) \($0.message)" }).joined(separator: "\n")
    }
}
