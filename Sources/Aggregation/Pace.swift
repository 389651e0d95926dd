/// How often something costly is done: at most once in an interval, and for at most a hundredth of the time.
struct Pace {
    let interval: Duration
    private var next = ContinuousClock.now

    init(interval: Duration = .zero) {
        self.interval = interval
    }

    var isDue: Bool { ContinuousClock.now >= next }

    /// It has been done, and has taken so long.
    mutating func hasRun(for duration: Duration) {
        next = .now + max(interval, duration * 99)
    }
}
