import Domain
import Events

/// When the reports of these tests come in: 2026-11-23 02:00 UTC.
let receivedAt = Instant(milliseconds: 1_795_399_200_000)

extension Instant {
    init(milliseconds: Int64) {
        self.init(microseconds: milliseconds * 1_000)
    }
}

/// What a report says, or why it is refused.
func read(_ json: String) -> Result<ReportedEvent, EventRejection> { read(Array(json.utf8)) }

func read(_ json: [UInt8]) -> Result<ReportedEvent, EventRejection> {
    do throws(EventRejection) {
        return .success(try EventReader(defaultSource: "default").read(json, receivedAt: receivedAt))
    } catch {
        return .failure(error)
    }
}

/// The event of `{"type":"t", …}`.
func event(with members: String) throws -> ReportedEvent {
    try read(#"{"type":"t",\#(members)}"#).get()
}

extension Result where Failure == EventRejection {
    var reason: String? {
        if case .failure(let rejection) = self { rejection.reason } else { nil }
    }
}
