import Delivery
import Domain
import Events

extension IntakeBatch {
    /// Adds the event, or if it breaks a limit, what it was made of as rejected.
    mutating func add(_ event: ReportedEvent, madeOf raw: UnsafeRawBufferPointer, input: Input, receivedAt: Instant) {
        do throws(EventRejection) {
            try add(event, input: input)
        } catch {
            addRejected(raw, error, input: input, at: receivedAt)
        }
    }
}
