import Domain
@testable import Registry
import Testing
import Wire

private let cursors = CursorCoder(secret: Array("a secret of this test, and of nothing else".utf8))

private func key(_ number: Int) -> ListKey { ListKey(UUIDBits(high: 0x018f_2f6e_0000_7000, low: UInt64(number))) }

/// Rows with the keys from `from` down to `to`: lists run from high keys to low ones.
private func rows(_ from: Int, downTo to: Int) -> [(key: ListKey, element: Double)] {
    stride(from: from, through: to, by: -1).map { (key($0), Double($0)) }
}

@Suite("Cursors")
struct CursorTests {
    /// Why a cursor is refused; nil when it is not.
    private func refusal(_ cursor: String, list: String = "messages", by cursors: CursorCoder = cursors) -> APIError? {
        do {
            _ = try cursors.decode(cursor, list: list)
            return nil
        } catch {
            return error as? APIError
        }
    }

    @Test(
        "a cursor leads back to its place",
        arguments: [
            ListPosition.end, .after(key(1)), .after(ListKey(.lowest)), .after(ListKey(.highest)),
            .after(ListKey(Instant(microseconds: 0), .lowest)), .after(ListKey(.now(), .highest)), .after(ListKey(.distantPast, .highest)),
        ])
    func roundTrip(position: ListPosition) throws {
        let cursor = cursors.encode(position, list: "messages")
        #expect(try cursors.decode(cursor, list: "messages") == position)
    }

    @Test("a cursor of another list, or of another installation, is refused in the form that makes hooks start over")
    func foreign() {
        let cursor = cursors.encode(.after(key(1)), list: "messages:list/a")
        let stranger = CursorCoder(secret: Array("another secret".utf8))
        #expect(refusal(cursor, list: "messages:list/b") == .invalidCursor)
        #expect(refusal(cursor, list: "messages:list/a", by: stranger) == .invalidCursor)
        #expect(APIError.invalidCursor.message.contains("InvalidCursor"))
        let data = String(decoding: APIError.invalidCursor.json, as: UTF8.self)
        #expect(data.contains(#""isConvexSystemError":true,"paginationError":"InvalidCursor""#))
    }

    @Test(
        "a cursor with any one bit changed is refused",
        arguments: [ListPosition.end, .after(key(1)), .after(ListKey(.now(), .random()))])
    func tampered(position: ListPosition) throws {
        let cursor = cursors.encode(position, list: "messages")
        let bytes = try #require(Base64.decodeURLSafe(cursor))
        for bit in 0..<(bytes.count * 8) {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            let text = String(decoding: Base64.encodeURLSafe(changed), as: UTF8.self)
            #expect(refusal(text) == .invalidCursor)
        }
    }

    @Test(
        "what is no cursor is refused",
        arguments: ["", "x", "null", "0", "_end_cursor", "' OR 1=1 --", "AAAAAAAAAAAAAAAAAAAAAAA", String(repeating: "A", count: 10_000)])
    func nonsense(cursor: String) {
        #expect(refusal(cursor) == .invalidCursor)
    }

    @Test("a shortened or lengthened cursor is refused")
    func otherLength() {
        let cursor = cursors.encode(.after(key(1)), list: "messages")
        #expect(refusal(String(cursor.dropLast(4))) == .invalidCursor)
        #expect(refusal(cursor + "AAAA") == .invalidCursor)
        #expect(refusal(cursor + "=") == .invalidCursor)
    }
}

@Suite("Pages")
struct PageTests {
    private func page(_ rows: [(key: ListKey, element: Double)], start: ListPosition? = nil, end: ListPosition? = nil, itemCount: Int = 3) -> Page<Double> {
        Page(rows: rows, range: PageRange(start: start, end: end, itemCount: itemCount), cursors: cursors, list: "numbers")
    }

    private func position(of cursor: String) throws -> ListPosition { try cursors.decode(cursor, list: "numbers") }

    @Test("a first page with more behind it ends at its last row")
    func firstPage() throws {
        let first = page(rows(10, downTo: 7))
        #expect(first.elements == [10, 9, 8])
        #expect(!first.isDone)
        #expect(try position(of: first.continueCursor) == .after(key(8)))
    }

    @Test("a first page with nothing behind it ends at the end, and still has a cursor", arguments: [0, 1, 3])
    func lastPage(count: Int) throws {
        let last = page(rows(count, downTo: 1))
        #expect(last.elements.count == count)
        #expect(last.isDone)
        #expect(try position(of: last.continueCursor) == .end)
    }

    @Test("a page whose end is fixed covers its whole range, however many rows that has")
    func fixedEnd() throws {
        let grown = page(rows(20, downTo: 8), end: .after(key(8)))
        #expect(grown.elements.count == 13)
        #expect(!grown.isDone)
        #expect(try position(of: grown.continueCursor) == .after(key(8)))
        #expect(grown.status == nil)
        let emptied = page([], end: .after(key(8)))
        #expect(emptied.elements.isEmpty)
        #expect(!emptied.isDone)
        #expect(try position(of: emptied.continueCursor) == .after(key(8)))
    }

    @Test("a page that was the last one when it was first run stays the last one")
    func fixedAtTheEnd() throws {
        let last = page(rows(9, downTo: 1), end: .end)
        #expect(last.elements.count == 9)
        #expect(last.isDone)
        #expect(try position(of: last.continueCursor) == .end)
    }

    @Test("a range that has grown too large asks to be split, in the middle")
    func split() throws {
        let large = page(rows(3500, downTo: 1), end: .end)
        #expect(large.status == .splitRecommended)
        #expect(try position(of: try #require(large.splitCursor)) == .after(key(1750)))
        let tooLarge = page(rows(5000, downTo: 1000), end: .end)
        #expect(tooLarge.status == .splitRequired)
        #expect(tooLarge.elements.count == 4000)
        #expect(!tooLarge.isDone)
        #expect(try position(of: tooLarge.continueCursor) == .after(key(1001)))
    }

    @Test("a page asks the database for one row more than it shows, and an empty range for none")
    func limits() {
        let open = PageRange(start: .after(key(5)), end: nil, itemCount: 3)
        #expect(open.limit == 4)
        #expect(open.below == key(5))
        #expect(open.atLeast == nil)
        let closed = PageRange(start: nil, end: .after(key(2)), itemCount: 3)
        #expect(closed.limit == 4001)
        #expect(closed.atLeast == key(2))
        #expect(closed.below == nil)
        let behindTheEnd = PageRange(start: .end, end: nil, itemCount: 3)
        #expect(behindTheEnd.isEmpty)
        #expect(!open.isEmpty && !closed.isEmpty)
    }

    @Test("a page is written as PaginatedResult")
    func encoding() throws {
        let bytes = JSONWriter.bytes { page(rows(2, downTo: 1)).encode(into: &$0) }
        let json = try JSON(parsing: bytes)
        #expect(json["page"] == .array([.number(2), .number(1)]))
        #expect(json["isDone"] == .bool(true))
        #expect(json["continueCursor"]?.stringValue != nil)
        #expect(json["splitCursor"] == nil)
        #expect(json["pageStatus"] == nil)
    }
}
