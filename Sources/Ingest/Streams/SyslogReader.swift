import Delivery
import Domain
import Metrics
import Rules

/// Makes events of syslog messages.
struct SyslogReader: Sendable {
    let rules: LineRules

    /// Messages that a rule says are not worth an event.
    private static let ignored = Counter(label: "attune_ingest_ignored_total")

    /// - Parameter sender: the address of whoever sends, for messages that name no host.
    func put(_ frame: Frame, from sender: String, receivedAt: Instant, into batch: inout IntakeBatch) {
        switch frame {
        case .message(let message):
            let line = SyslogParser.parse(message, receivedAt: receivedAt)
            guard var event = rules.event(for: line, source: "syslog:" + (line.host ?? sender), receivedAt: receivedAt) else {
                return Self.ignored.increment()
            }
            event.flagClock(receivedAt: receivedAt)
            batch.append(event)
        case .rejected(let bytes, let why), .lost(let bytes, let why):
            batch.appendRejected(why, raw: bytes, at: receivedAt)
        }
    }
}
