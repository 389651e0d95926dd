/// How many records go into one transaction: fewer when PostgreSQL is slow, so that none of them takes long.
struct BatchSize {
    private let range: ClosedRange<Int>
    private let target: Duration
    private(set) var limit: Int

    init(maximum: Int, target: Duration) {
        range = min(100, maximum)...maximum
        self.target = target
        limit = maximum
    }

    /// A batch was stored.
    mutating func note(_ count: Int, took duration: Duration) {
        if duration > target {
            limit = max(range.lowerBound, limit / 2)
        } else if duration < target / 2, count >= limit {
            limit = min(range.upperBound, limit * 2)
        }
    }

    /// A batch took longer than a statement may.
    mutating func noteTimeout() {
        limit = max(range.lowerBound, limit / 2)
    }
}
