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

    /// A column's type and bytes, nil for NULL; the bytes live as long as this object.
    @usableFromInline
    func field(row: Int, column: Int) throws(PostgresError) -> (bytes: UnsafeRawBufferPointer?, type: PostgresType) {
        guard column < columnCount else {
            throw PostgresError(.unexpectedResult, statement: statement, serverMessage: "no column \(column)")
        }
        let (row, field) = (Int32(row), Int32(column))
        let type = PostgresType(rawValue: PQftype(result, field))
        if PQgetisnull(result, row, field) == 1 { return (nil, type) }
        return (UnsafeRawBufferPointer(start: PQgetvalue(result, row, field), count: Int(PQgetlength(result, row, field))), type)
    }

    @usableFromInline
    func unexpected(_ mismatch: ColumnMismatch, column: Int) -> PostgresError {
        let got = mismatch.wasNull ? "NULL" : "type \(mismatch.type.rawValue)"
        return PostgresError(
            .unexpectedResult, statement: statement, serverMessage: "column \(column): expected \(mismatch.expected), got \(got)")
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
    @usableFromInline let result: QueryResult
    @usableFromInline let index: Int

    /// The value of a column. Throws `unexpectedResult` for NULL (unless `Value` is optional) and for other types.
    // Inlinable, here and below it, because it runs a hundred times in a list: unspecialized it costs more than the query.
    @inlinable
    public func decode<Value: PostgresDecodable>(_ column: Int, as type: Value.Type = Value.self) throws(PostgresError) -> Value {
        let field = try result.field(row: index, column: column)
        do {
            return try Value.decode(field.bytes, type: field.type)
        } catch {
            throw result.unexpected(error, column: column)
        }
    }

    public func isNull(_ column: Int) -> Bool { result.isNull(row: index, column: column) }
}
