/// How facts are added up and kept.
public struct AggregatorConfiguration: Sendable {
    /// Between two turns.
    public var pause = Duration.seconds(3)
    /// So many whole days before the running one (UTC) raw facts of calls and activity are kept; at least 2.
    public var retentionDays = 7

    public init() {}
}
