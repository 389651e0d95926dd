/// How tense the situation is, judged by the security events of the last hour. It falls by itself when nothing more happens.
///
/// This is the one definition: `SecurityLevelStore` makes SQL of it, and docs/security-events.md explains it.
public enum SecurityLevel: String, CaseIterable, Comparable, Sendable {
    case low, guarded, elevated, high, critical

    /// What raises the level: so many events of one severity within the last `window`.
    public struct Rule: Sendable {
        public let level: SecurityLevel
        public let severity: Severity
        public let count: Int
        public let window: Duration
    }

    /// The first rule that holds decides, from the highest level down; if none does, the level is `low`.
    ///
    /// A severity sets a level for an hour, so that whoever looks every now and then sees it. The worst there is stands out for as
    /// long as somebody should be acting on it; many events of a lesser severity within that time weigh as one of the next.
    public static let rules = [
        Rule(level: .critical, severity: .critical, count: 1, window: .seconds(15 * 60)),
        Rule(level: .high, severity: .critical, count: 1, window: .seconds(60 * 60)),
        Rule(level: .high, severity: .high, count: 5, window: .seconds(15 * 60)),
        Rule(level: .elevated, severity: .high, count: 1, window: .seconds(60 * 60)),
        Rule(level: .elevated, severity: .medium, count: 50, window: .seconds(15 * 60)),
        Rule(level: .guarded, severity: .medium, count: 1, window: .seconds(60 * 60)),
    ]

    /// Events whose time is further ahead than clocks may differ do not count.
    public static let clockTolerance = Duration.seconds(5 * 60)

    public static func < (left: SecurityLevel, right: SecurityLevel) -> Bool { left.rank < right.rank }

    private var rank: Int { Self.allCases.firstIndex(of: self)! }
}
