/// A position in PostgreSQL's write-ahead log, and so the timestamp of the sync protocol: `ts`.
public struct LogPosition: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public static let zero = LogPosition(0)

    public static func < (left: LogPosition, right: LogPosition) -> Bool { left.rawValue < right.rawValue }
}

extension LogPosition: CustomStringConvertible {
    /// As PostgreSQL writes it: `16/B374D848`.
    public var description: String {
        let high = String(rawValue >> 32, radix: 16, uppercase: true)
        let low = String(rawValue & 0xFFFF_FFFF, radix: 16, uppercase: true)
        return "\(high)/\(low)"
    }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let high = UInt32(parts[0], radix: 16), let low = UInt32(parts[1], radix: 16) else { return nil }
        self.init(UInt64(high) << 32 | UInt64(low))
    }
}
