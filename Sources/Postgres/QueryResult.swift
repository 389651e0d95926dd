import CLibpq

/// The rows and the command tag of one executed statement.
///
/// Owns libpq's result: columns are read from its memory, without a copy, for as long as this object lives.
public final class QueryResult: @unchecked Sendable {
    // Unchecked because of the pointer: libpq promises that a finished result is read-only and may be shared by threads.
    private let result: OpaquePointer
    private let statement: String?
    public let count: Int
    public let columnCount: Int

    /// Takes ownership of `result`, which has a success status.
    init(owning result: OpaquePointer, statement: String?) {
        self.result = result
        self.statement = statement
        count = Int(PQntuples(result))
        columnCount = Int(PQnfields(result))
    }

    deinit {
        PQclear(result)
    }

    /// How many rows an INSERT, UPDATE or DELETE wrote, or a SELECT returned.
    public var affectedRows: Int { Int(String(cString: PQcmdTuples(result))) ?? 0 }

    /// What the server says it did: `SELECT 3`, `INSERT 0 1`, `COMMIT`.
    public var commandTag: String { String(cString: PQcmdStatus(result)) }

    public var first: Row? { count == 0 ? nil : Row(result: self, index: 0) }

    /// The text of a column that came in text form (replication commands answer so); nil for NULL.
    func text(row: Int, column: Int) -> String? {
        PQgetisnull(result, Int32(row), Int32(column)) == 1 ? nil : String(cString: PQgetvalue(result, Int32(row), Int32(column)))
    }

    fileprivate func decode<Value: PostgresDecodable>(row: Int, column: Int, as type: Value.Type) throws(PostgresError) -> Value {
        guard column < columnCount else {
            throw PostgresError(.unexpectedResult, statement: statement, serverMessage: "no column \(column)")
        }
        let row = Int32(row)
        let field = Int32(column)
        let oid = PostgresType(rawValue: PQftype(result, field))
        do {
            if PQgetisnull(result, row, field) == 1 { return try Value.decode(nil, type: oid) }
            let bytes = UnsafeRawBufferPointer(start: PQgetvalue(result, row, field), count: Int(PQgetlength(result, row, field)))
            return try Value.decode(bytes, type: oid)
        } catch {
            let got = error.wasNull ? "NULL" : "type \(error.type.rawValue)"
            throw PostgresError(
                .unexpectedResult, statement: statement, serverMessage: "column \(column): expected \(error.expected), got \(got)")
        }
    }

    fileprivate func isNull(row: Int, column: Int) -> Bool { PQgetisnull(result, Int32(row), Int32(column)) == 1 }
}

extension QueryResult: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { count }
    public subscript(index: Int) -> Row { Row(result: self, index: index) }
}

/// One row of a result; columns by position, in the order of the statement's select list.
public struct Row: Sendable {
    let result: QueryResult
    let index: Int

    /// The value of a column. Throws `unexpectedResult` for NULL (unless `Value` is optional) and for other types.
    public func decode<Value: PostgresDecodable>(_ column: Int, as type: Value.Type = Value.self) throws(PostgresError) -> Value {
        try result.decode(row: index, column: column, as: type)
    }

    public func isNull(_ column: Int) -> Bool { result.isNull(row: index, column: column) }
}
