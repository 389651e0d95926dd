import Domain
import Postgres

// Columns of type text whose check constraint lists the values of an enumeration.

extension Role: PostgresCodable {}
extension AccountType: PostgresCodable {}
extension Timeframe: PostgresCodable {}
extension Severity: PostgresCodable {}
extension SecurityLevel: PostgresCodable {}

extension PostgresEncodable where Self: RawRepresentable<String> {
    public static var postgresType: PostgresType { .text }
    public func encode(into bytes: inout [UInt8]) -> Bool { rawValue.encode(into: &bytes) }
}

extension PostgresDecodable where Self: RawRepresentable<String> {
    public static func decode(_ bytes: UnsafeRawBufferPointer?, type: PostgresType) throws(ColumnMismatch) -> Self {
        guard let value = Self(rawValue: try String.decode(bytes, type: type)) else {
            throw ColumnMismatch(expected: "\(Self.self)", type: type, wasNull: false)
        }
        return value
    }
}
