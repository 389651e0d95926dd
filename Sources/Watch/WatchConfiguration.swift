/// How the stored events are looked after.
public struct WatchConfiguration: Sendable {
    /// Events older than this are deleted.
    public var retentionDays = 365

    public init() {}
}
