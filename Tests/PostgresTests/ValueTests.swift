import Postgres
import TestSupport
import Testing

@Suite("Values", .scratchDatabase(.empty))
struct ValueTests {
    let client = ScratchDatabase.current.makeClient()

    /// Sends a value as a parameter and reads it back.
    private func roundTrip<Value: PostgresCodable>(_ value: Value, as type: String) async throws -> Value {
        try await #require(client.read(Statement("test.roundTrip", "SELECT $1::\(type)")(value)).first).decode(0)
    }

    @Test("come back as they were sent")
    func roundTrips() async throws {
        for text in ["", "plain", "ünïcödé 🙂\n\t'\"\\", String(repeating: "x", count: 3_000_000)] {
            #expect(try await roundTrip(text, as: "text") == text)
        }
        for bytes: [UInt8] in [[], [0, 255, 92], Array(repeating: 7, count: 3_000_000)] {
            #expect(try await roundTrip(bytes, as: "bytea") == bytes)
        }
        for number in [0, -1, Int64.min, Int64.max] { #expect(try await roundTrip(number, as: "bigint") == number) }
        for number in [Int.min, 42, Int.max] { #expect(try await roundTrip(number, as: "bigint") == number) }
        for number in [0.0, -0.1, .infinity, .greatestFiniteMagnitude] {
            #expect(try await roundTrip(number, as: "double precision") == number)
        }
        #expect(try await roundTrip(Double.nan, as: "double precision").isNaN)
        for flag in [true, false] { #expect(try await roundTrip(flag, as: "boolean") == flag) }
    }

    @Test("NULL is nil, and nothing else is")
    func null() async throws {
        #expect(try await roundTrip(String?.none, as: "text") == nil)
        #expect(try await roundTrip(Int64?.none, as: "bigint") == nil)
        #expect(try await roundTrip(Bool?.none, as: "boolean") == nil)
        #expect(try await roundTrip(Double?.none, as: "double precision") == nil)
        #expect(try await roundTrip([UInt8]?.none, as: "bytea") == nil)
        #expect(try await roundTrip(String?.some(""), as: "text") == "")
        #expect(try await roundTrip([UInt8]?.some([]), as: "bytea") == [])
    }

    @Test("narrower numbers are read as the wider type")
    func widening() async throws {
        let row = try await #require(
            client.read(Statement("test.widen", "SELECT 1::smallint, (-2)::integer, 0.5::real")()).first)
        #expect(try row.decode(0, as: Int.self) == 1)
        #expect(try row.decode(1, as: Int64.self) == -2)
        #expect(try row.decode(2, as: Double.self) == 0.5)
    }

    @Test("an array selects its elements", arguments: [[], ["b"], ["a", "", "c"]])
    func textArray(wanted: [String]) async throws {
        let statement = Statement(
            "test.any", "SELECT v FROM (VALUES ('a'), ('b'), (''), ('c')) AS t (v) WHERE v = ANY ($1) ORDER BY v")
        let found = try await client.read(statement(PostgresArray(wanted))).map { try $0.decode(0, as: String.self) }
        #expect(found == wanted.sorted())
    }

    @Test("a number array keeps its order")
    func numberArray() async throws {
        let numbers = (0..<1000).map { Int64($0) * -7 }
        let read = try await client.read(Statement("test.unnest", "SELECT unnest($1)")(PostgresArray(numbers)))
        #expect(try read.map { try $0.decode(0, as: Int64.self) } == numbers)
    }

    @Test("a column of another type, NULL, or a column that is not there is an unexpected result")
    func mismatch() async throws {
        let row = try await #require(client.read(Statement("test.mixed", "SELECT 'x'::text, 1::bigint, NULL::text")()).first)
        func kind<Value: PostgresDecodable>(_ column: Int, _ type: Value.Type) -> PostgresError.Kind? {
            do throws(PostgresError) {
                _ = try row.decode(column, as: type)
                return nil
            } catch { return error.kind }
        }
        #expect(kind(0, Int.self) == .unexpectedResult)
        #expect(kind(0, Bool.self) == .unexpectedResult)
        #expect(kind(1, String.self) == .unexpectedResult)
        #expect(kind(1, Double.self) == .unexpectedResult)
        #expect(kind(2, String.self) == .unexpectedResult)
        #expect(kind(3, String.self) == .unexpectedResult)
        #expect(kind(0, String.self) == nil)
    }

    @Test("text with a NUL is refused by the server, and nobody else notices")
    func nulCharacter() async throws {
        await #expect(throws: PostgresError.self) { try await roundTrip("a\0b", as: "text") }
        #expect(try await roundTrip("ab", as: "text") == "ab")
    }

    @Test("the command tag and the number of rows say what was done")
    func tags() async throws {
        _ = try await client.write(Statement("test.create", "CREATE TABLE t (n integer)")())
        let insert = try await client.write(Statement("test.insert", "INSERT INTO t SELECT generate_series(1, 5)")())
        #expect(insert.affectedRows == 5)
        #expect(insert.commandTag == "INSERT 0 5")
        #expect(insert.isEmpty)
        let select = try await client.read(Statement("test.select", "SELECT n FROM t ORDER BY n")())
        #expect(try select.map { try $0.decode(0, as: Int.self) } == [1, 2, 3, 4, 5])
    }
}
