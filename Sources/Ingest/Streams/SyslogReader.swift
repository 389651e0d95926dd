import Delivery
import Domain
import Events
import Metrics
import Rules

/// Makes events of syslog messages.
struct SyslogReader: Sendable {
    let rules: LineRules
    let input: Input

    /// In bytes; as DNS has it.
    private static let longestHost = 253 - "syslog:".utf8.count

    /// Messages that a rule says are not worth an event.
    static let ignored = Counter(label: "attune_ingest_ignored_total")

    /// - Parameter sender: the address of whoever sends, for messages that name no host.
    func put(_ frame: Frame, from sender: String, receivedAt: Instant, into batch: inout IntakeBatch) {
        switch frame {
        case .message(let message):
            let line = SyslogParser.parse(message, receivedAt: receivedAt)
            // A longer one would make the source too long.
            let host = line.host.flatMap { $0.utf8.count <= Self.longestHost ? $0 : nil } ?? sender
            guard var event = rules.event(for: line, source: "syslog:" + host, receivedAt: receivedAt) else {
                return Self.ignored.increment()
            }
            event.flagClock(receivedAt: receivedAt)
            batch.add(event, madeOf: message, input: input, receivedAt: receivedAt)
        case .rejected(let bytes, let why), .lost(let bytes, let why):
            batch.addRejected(bytes, why, input: input, at: receivedAt)
        }
    }
}
