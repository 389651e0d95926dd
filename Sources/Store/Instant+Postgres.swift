import Domain
import Postgres

extension Instant: PostgresCodable {
    public static let postgresType = PostgresType.timestamptz

    /// A `timestamptz` counts from 2000-01-01.
    private static let epochOffset: Int64 = 946_684_800_000_000
    /// 4713 before our era, so counted.
    private static let earliest: Int64 = -211_813_488_000_000_000

    /// What was before PostgreSQL's first day becomes `-infinity`, `distantFuture` becomes `infinity`.
    public func encode(into bytes: inout [UInt8]) -> Bool {
        let (difference, overflow) = microseconds.subtractingReportingOverflow(Self.epochOffset)
        if overflow || difference < Self.earliest {
            bytes.appendBigEndian(Int64.min)
        } else {
            bytes.appendBigEndian(self == .distantFuture ? .max : difference)
        }
        return true
    }

    /// `-infinity` and `infinity`, which nobody but a person at psql writes, become the first and the last moment.
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Instant {
        guard let bytes, type == .timestamptz, bytes.count == 8 else {
            throw ColumnMismatch(expected: "timestamptz", type: type, wasNull: bytes == nil)
        }
        let count = bytes.loadBigEndian(as: Int64.self)
        if count == .min { return .distantPast }
        let (sum, overflow) = count.addingReportingOverflow(epochOffset)
        return overflow ? .distantFuture : Instant(microseconds: sum)
    }
}
