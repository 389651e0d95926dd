/// How far back analytics look: whole hours or days of UTC, of which the last one is running.
public enum Timeframe: String, CaseIterable, Sendable {
    /// 24 hours.
    case day
    /// 7 days.
    case week
    /// 30 days.
    case month
}
