import Domain

/// What makes several events together an event of its own: so many of one kind, about the same account or address, within
/// a time.
public struct DetectionRule: Equatable, Sendable {
    /// Which events a rule counts: those that meet all of it.
    public struct Condition: Equatable, Sendable {
        /// One of these. Not empty.
        public var types: [String]
        /// At least so severe.
        public var minimumSeverity: Severity
        /// Fields of the context, which is a JSON object then, and the values that each may have.
        public var context: [String: [String]]

        public init(types: [String], minimumSeverity: Severity = .low, context: [String: [String]] = [:]) {
            self.types = types
            self.minimumSeverity = minimumSeverity
            self.context = context
        }
    }

    /// What the counted events have in common. An event that has no such thing is not counted.
    public enum Key: String, CaseIterable, Sendable {
        /// The user's id; without one the context's `account`, which is how a sign-in names the account that was tried.
        case account
        /// The user's id; without one the context's `user`, a name on the system that wrote the log.
        case user
        case ip
        /// See `IPAddress.network`.
        case network
    }

    /// What can be counted instead of events: its different values.
    public enum DistinctKey: String, CaseIterable, Sendable {
        case account, user, ip, network, type
    }

    /// The event that the rule raises.
    public struct Raise: Equatable, Sendable {
        public var type: String
        public var severity: Severity
        let template: TextTemplate
        let within: Duration

        static let placeholders: Set<String> = ["count", "key", "within"]

        /// - Parameters:
        ///   - count: of events, or of different values.
        ///   - key: what they have in common, for people.
        public func details(count: Int, key: String) -> String {
            template.filled { name in
                switch name {
                case "count": String(count)
                case "key": key
                case "within": DurationText.describe(within)
                default: nil
                }
            }
        }
    }

    /// Unique among all rules.
    public var name: String
    public var when: Condition
    public var by: Key
    /// At least 1.
    public var count: Int
    public var within: Duration
    /// Nil: events are counted.
    public var distinct: DistinctKey?
    /// After it was raised for a key it is not raised for that key again for so long.
    public var quiet: Duration
    public var raise: Raise

    /// - Parameters:
    ///   - quiet: nil: as long as `within`.
    ///   - details: of the raised event; may have `{count}`, `{key}` and `{within}` in it.
    public init(
        name: String, when: Condition, by: Key, count: Int, within: Duration, distinct: DistinctKey? = nil,
        quiet: Duration? = nil, raising type: String, severity: Severity, details: String
    ) {
        self.init(
            name: name, when: when, by: by, count: count, within: within, distinct: distinct, quiet: quiet, raising: type,
            severity: severity, details: (try? TextTemplate(details)) ?? TextTemplate(literal: details))
    }

    init(
        name: String, when: Condition, by: Key, count: Int, within: Duration, distinct: DistinctKey?, quiet: Duration?,
        raising type: String, severity: Severity, details: TextTemplate
    ) {
        self.name = name
        self.when = when
        self.by = by
        self.count = count
        self.within = within
        self.distinct = distinct
        self.quiet = quiet ?? within
        raise = Raise(type: type, severity: severity, template: details, within: within)
    }
}

/// Durations as people write them: `90s`, `5m`, `1h`, `7d`.
enum DurationText {
    private static let units: [(letter: Character, seconds: Int64)] = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]

    static func parse(_ text: String) -> Duration? {
        guard let unit = units.first(where: { $0.letter == text.last }), let number = Int64(text.dropLast()),
            (1...1_000_000).contains(number)
        else { return nil }
        return .seconds(number * unit.seconds)
    }

    static func describe(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        let unit = units.first { seconds >= $0.seconds && seconds.isMultiple(of: $0.seconds) } ?? ("s", 1)
        return "\(seconds / unit.seconds)\(unit.letter)"
    }
}
