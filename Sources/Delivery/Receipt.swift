/// What became of events that were handed in. The three add up to the batch.
public struct Receipt: Equatable, Sendable {
    /// New ones.
    public var accepted: Int
    /// Known already, by source and id.
    public var duplicates: Int
    /// Kept as dead letters, since they could not be read.
    public var rejected: Int

    public init(accepted: Int, duplicates: Int, rejected: Int = 0) {
        self.accepted = accepted
        self.duplicates = duplicates
        self.rejected = rejected
    }
}
