/// How the stored events are looked after.
public struct WatchConfiguration: Sendable {
    /// Events older than this are deleted.
    public var retentionDays = 365
    /// Between two looks at what is new.
    public var pause = Duration.milliseconds(250)

    public init() {}
}
