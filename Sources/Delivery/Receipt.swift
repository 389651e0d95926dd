/// What became of events that were handed in.
public struct Receipt: Equatable, Sendable {
    /// Durable now.
    public var accepted: Int
    /// Known already, by source and id.
    public var duplicates: Int

    public init(accepted: Int, duplicates: Int) {
        self.accepted = accepted
        self.duplicates = duplicates
    }
}
