/// Since when the events in a spool have been waiting there, to about a second.
struct WaitingTimes {
    /// Events that came within a second of each other.
    private struct Arrival {
        var end: UInt64
        let began: ContinuousClock.Instant
    }

    private var arrivals: [Arrival] = []

    /// More than an hour's. Then neighbours are put together, so that the older ones are told less exactly.
    private static let maximumCount = 4096

    mutating func noteArrival(end: UInt64, at now: ContinuousClock.Instant) {
        if let last = arrivals.last, now - last.began < .seconds(1) {
            arrivals[arrivals.count - 1].end = end
        } else {
            if arrivals.count >= Self.maximumCount {
                arrivals = stride(from: 0, to: arrivals.count - 1, by: 2).map {
                    Arrival(end: arrivals[$0 + 1].end, began: arrivals[$0].began)
                }
            }
            arrivals.append(Arrival(end: end, began: now))
        }
    }

    /// When the event at this position came, or one a little before it. Nil if it has not come yet.
    mutating func arrival(of position: UInt64) -> ContinuousClock.Instant? {
        arrivals.removeFirst(arrivals.firstIndex { $0.end > position } ?? arrivals.count)
        return arrivals.first?.began
    }
}
