import Testing

@testable import Live

@Suite("What a snapshot sees")
struct SnapshotVisibilityTests {
    @Test("transactions below the lowest, and those in between that had ended")
    func plain() throws {
        let snapshot = try #require(SnapshotVisibility("100:105:101,103"))
        let seen = (98...107).filter { snapshot.sees(UInt32($0)) }
        #expect(seen == [98, 99, 100, 102, 104])
    }

    @Test("transaction ids are told apart around the wrap of their 32 bits")
    func wrapAround() throws {
        let turn: UInt64 = 1 << 32
        let snapshot = try #require(SnapshotVisibility("\(turn - 2):\(turn + 3):\(turn - 1),\(turn + 1)"))
        let before = [UInt32.max - 3, UInt32.max - 2, .max - 1, .max].map { snapshot.sees($0) }
        #expect(before == [true, true, true, false])
        let after = [UInt32(0), 1, 2, 3, 4].map { snapshot.sees($0) }
        #expect(after == [true, false, true, false, false])
    }

    @Test("anything else is no snapshot", arguments: ["", "1:2", "a:2:", "1:2:x", "1:2:3:4"])
    func malformed(_ text: String) {
        let snapshot = SnapshotVisibility(text)
        #expect(snapshot == nil)
    }
}
