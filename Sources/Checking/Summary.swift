/// The table at the end of a run.
struct Summary {
    let text: String

    init(_ settings: LiveCheck.Settings, _ figures: Statistics.Figures, _ findings: Int) {
        var rows: [(String, String)] = [
            ("seconds", "\(settings.seconds)"), ("seed", "\(settings.seed)"), ("workers", "\(settings.workers)"),
            ("clients", "\(settings.clients)"), ("connections", "\(figures.connections)"),
            ("Transitions checked at their ts", "\(figures.exactTransitions)"),
            ("Transitions checked near their ts (worker polling)", "\(figures.weakTransitions)"),
            ("results checked", "\(figures.resultsChecked)"), ("mutations acknowledged", "\(figures.mutationsAcknowledged)"),
            ("commits replayed", "\(figures.commits)"), ("sign-outs", "\(figures.signOuts)"),
            ("faults", "\(figures.faults.values.reduce(0, +))"),
        ]
        for (fault, count) in figures.faults.sorted(by: { $0.key < $1.key }) { rows.append(("  \(fault)", "\(count)")) }
        let losses = figures.identityLosses.sorted()
        if !losses.isEmpty {
            func percentile(_ share: Double) -> String { "\(Int(losses[min(losses.count - 1, Int(Double(losses.count) * share))].rounded())) ms" }
            rows.append(("identity lost elsewhere after, p50", percentile(0.5)))
            rows.append(("identity lost elsewhere after, p99", "\(percentile(0.99)), of \(losses.count) sockets"))
        }
        rows.append(("findings", "\(findings)"))
        let width = rows.map(\.0.count).max()!
        text = rows.map { $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }.joined(separator: "\n")
    }
}
