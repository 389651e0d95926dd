import Domain
import Metrics

/// What an aggregator reports of itself to Prometheus.
struct AggregationMetrics: Sendable {
    private let turnDuration = Metrics.Timer(label: "attune_aggregation_turn_duration")
    private let failedTurns = Counter(label: "attune_aggregation_turns_failed_total")
    private let leading = Gauge(label: "attune_aggregation_leading")
    private let lag = Gauge(label: "attune_aggregation_lag_seconds")
    private let messages = Self.facts("messages")
    private let users = Self.facts("users")
    private let activity = Self.facts("activity")
    private let calls = Self.facts("calls")

    private static func facts(_ kind: String) -> Counter {
        Counter(label: "attune_aggregation_facts_total", dimensions: [("kind", kind)])
    }

    func record(_ outcome: Turn.Outcome, _ status: AggregatorStatus) {
        if case .led(let counted, _) = outcome {
            if let duration = status.lastTurnDuration { turnDuration.record(duration: duration) }
            messages.increment(by: counted.messages)
            users.increment(by: counted.users)
            activity.increment(by: counted.activity)
            calls.increment(by: counted.calls)
        }
        leading.record(status.role == .leading ? 1 : 0)
        recordLag(status)
    }

    func recordFailure(_ status: AggregatorStatus) {
        failedTurns.increment()
        leading.record(0)
        recordLag(status)
    }

    private func recordLag(_ status: AggregatorStatus) {
        lag.record(status.behindSince.map { (Instant.now().milliseconds - $0.milliseconds) / 1000 } ?? 0)
    }
}
