import Domain
import Postgres

extension UUIDBits: PostgresCodable {
    public static let postgresType = PostgresType.uuid

    public func encode(into bytes: inout [UInt8]) -> Bool {
        bytes.appendBigEndian(high)
        bytes.appendBigEndian(low)
        return true
    }

    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> UUIDBits {
        guard let bytes, type == .uuid, bytes.count == 16 else {
            throw ColumnMismatch(expected: "uuid", type: type, wasNull: bytes == nil)
        }
        return UUIDBits(high: bytes.loadBigEndian(at: 0), low: bytes.loadBigEndian(at: 8))
    }
}

extension ID: PostgresCodable {
    public static var postgresType: PostgresType { .uuid }

    public func encode(into bytes: inout [UInt8]) -> Bool { uuid.encode(into: &bytes) }

    @inlinable
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> ID {
        ID(try UUIDBits.decode(bytes, type: type))
    }
}
