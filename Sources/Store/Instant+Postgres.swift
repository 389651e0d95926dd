import Domain
import Postgres

extension Instant: PostgresCodable {
    public static let postgresType = PostgresType.timestamptz

    /// A `timestamptz` counts from 2000-01-01.
    private static let epochOffset: Int64 = 946_684_800_000_000

    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.appendBigEndian(microseconds - Self.epochOffset)
        return true
    }

    /// `infinity`, which nobody but a person at psql writes, becomes the last moment that fits.
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Instant {
        guard let bytes, type == .timestamptz, bytes.count == 8 else {
            throw ColumnMismatch(expected: "timestamptz", type: type, wasNull: bytes == nil)
        }
        let (sum, overflow) = bytes.loadBigEndian(as: Int64.self).addingReportingOverflow(epochOffset)
        return Instant(microseconds: overflow ? .max : sum)
    }
}
