#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A moment, as exactly as PostgreSQL's `timestamptz` holds it.
public struct Instant: Hashable, Comparable, Sendable {
    /// Since 1970-01-01 00:00 UTC, leap seconds aside.
    public let microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Before and after every other moment.
    public static let distantPast = Instant(microseconds: .min)
    public static let distantFuture = Instant(microseconds: .max)

    /// What the wall clock says.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }

    /// Since 1970, as times appear in the API.
    public var milliseconds: Double { Double(microseconds) / 1_000 }

    /// Whole seconds since 1970, as times appear in tokens.
    public var seconds: Int64 { microseconds / 1_000_000 }

    public static func < (left: Instant, right: Instant) -> Bool { left.microseconds < right.microseconds }

    public static func + (instant: Instant, duration: Duration) -> Instant {
        let (seconds, attoseconds) = duration.components
        return Instant(microseconds: instant.microseconds + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }

    public static func - (instant: Instant, duration: Duration) -> Instant { instant + (.zero - duration) }

    public static func - (left: Instant, right: Instant) -> Duration {
        .microseconds(left.microseconds - right.microseconds)
    }
}
