/// Why a report cannot become an event. It says nothing of the report's contents, so it may go into answers and logs.
public struct EventRejection: Error, Equatable, Sendable, CustomStringConvertible {
    /// For people: `type is missing`.
    public let reason: String

    public init(_ reason: String) {
        self.reason = reason
    }

    public var description: String { reason }
}
