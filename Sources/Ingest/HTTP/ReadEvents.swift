import Delivery
import Domain
import Events

/// What a request's body has come to.
struct ReadEvents: Sendable {
    struct Rejection: Sendable {
        /// The event's place in the body, from 0.
        let index: Int
        let reason: String
    }

    private(set) var batch = IntakeBatch()
    /// Those that could be read and kept.
    private(set) var eventCount = 0
    /// The first ones, as many as may be told.
    private(set) var rejections: [Rejection] = []
    private(set) var rejectionCount = 0
    private let maximumTold: Int
    private let receivedAt: Instant

    init(maximumTold: Int, receivedAt: Instant) {
        self.maximumTold = maximumTold
        self.receivedAt = receivedAt
    }

    var count: Int { eventCount + rejectionCount }

    /// - Parameter raw: what it was read from, for the dead letters.
    mutating func add(_ result: Result<ReportedEvent, EventRejection>, index: Int, raw: ArraySlice<UInt8>) {
        do throws(EventRejection) {
            try batch.add(result.get(), input: .http)
            eventCount += 1
        } catch {
            rejectionCount += 1
            if rejections.count < maximumTold { rejections.append(Rejection(index: index, reason: error.reason)) }
            batch.addRejected(raw, error, input: .http, at: receivedAt)
        }
    }
}
