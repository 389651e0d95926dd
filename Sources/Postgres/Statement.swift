/// One SQL statement with numbered parameters, and the name under which errors and metrics speak of it.
///
/// Statements are constants: a connection prepares each one once and keeps it. Values go in as parameters only.
public struct Statement: Sendable {
    /// For people: `messages.list`. Appears in errors and metrics.
    public let name: String
    /// Text that can be pasted into psql, with `$1`, `$2`, … for the parameters.
    public let sql: String
    /// The name on the server. It is made from the text, so that behind a pooler in transaction mode, where other
    /// clients' statements may live in the same session, one name always means one text.
    let preparedName: String
    let isPrepared: Bool

    public init(_ name: String, _ sql: String) {
        self.name = name
        self.sql = sql
        self.preparedName = Self.preparedName(for: sql)
        self.isPrepared = true
    }

    /// A command that gains nothing from being prepared, and must not fail because it is not: BEGIN, COMMIT.
    init(unprepared name: String, _ sql: String) {
        self.name = name
        self.sql = sql
        self.preparedName = ""
        self.isPrepared = false
    }

    /// The statement with its parameters' values, in order.
    public func callAsFunction(_ values: any PostgresEncodable...) -> BoundStatement {
        var parameters = Parameters()
        for value in values { parameters.append(value) }
        return BoundStatement(statement: self, parameters: parameters)
    }

    /// FNV-1a with 128 bits: stable between processes, which Swift's own hash is not.
    private static func preparedName(for sql: String) -> String {
        var hash: (high: UInt64, low: UInt64) = (0x6c62_272e_07bb_0142, 0x62b8_2175_6295_c58d)
        for byte in sql.utf8 {
            hash.low ^= UInt64(byte)
            // Times 2^88 + 2^8 + 0x3b, modulo 2^128.
            let product = hash.low.multipliedFullWidth(by: 0x13b)
            hash.high = hash.high &* 0x13b &+ product.high &+ (hash.low << 24)
            hash.low = product.low
        }
        return "attune_" + String(hash.high, radix: 36) + "_" + String(hash.low, radix: 36)
    }
}

/// A statement and the values for its parameters: what a connection executes.
public struct BoundStatement: Sendable {
    public let statement: Statement
    let parameters: Parameters
}
