import Domain
import Wire

/// What is wrong with the time at which an event is said to have occurred.
enum ClockFlag: String {
    /// More than a day ahead.
    case future
    /// More than five years back.
    case ancient
    /// Not a time, or one outside the years 1 to 9999. The moment at which the report came in is taken.
    case unreadable

    private static let furthestAhead = Duration.seconds(86_400)
    private static let furthestBack = Duration.seconds(5 * 365 * 86_400)

    /// Nil for a usual time.
    init?(_ occurredAt: Instant, receivedAt: Instant) {
        if occurredAt > receivedAt + Self.furthestAhead {
            self = .future
        } else if occurredAt < receivedAt - Self.furthestBack {
            self = .ancient
        } else {
            return nil
        }
    }

    /// The member of the context that says so.
    var note: [UInt8] { Array(#""clock":"\#(rawValue)""#.utf8) }
}

extension ReportedEvent {
    /// Says so in the context (`"clock":"future"` or `"ancient"`) if the event is said to have occurred more than a day after
    /// it was reported, or more than five years before. A moment that cannot be stored gives way to `receivedAt`
    /// (`"clock":"unreadable"`). `EventReader` has done it; for other events call it once.
    public mutating func flagClock(receivedAt: Instant) {
        guard Timestamp.range.contains(occurredAt) else {
            var note = JSONWriter()
            note.key("timestamp")
            note.integer(occurredAt.microseconds / 1_000)
            context = EventContext.text(notes: ClockFlag.unreadable.note + [UInt8(ascii: ",")] + note.bytes, given: context)
            occurredAt = receivedAt
            return
        }
        if let flag = ClockFlag(occurredAt, receivedAt: receivedAt) {
            context = EventContext.text(notes: flag.note, given: context)
        }
    }
}
