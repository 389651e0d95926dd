import Domain
import Testing

@Suite("Ids")
struct IDTests {
    @Test("are TypeIDs of their table", arguments: [
        // github.com/jetify-com/typeid, spec/valid.yml
        ("00000000-0000-0000-0000-000000000000", "user_00000000000000000000000000"),
        ("00000000-0000-0000-0000-000000000001", "user_00000000000000000000000001"),
        ("00000000-0000-0000-0000-000000000020", "user_00000000000000000000000010"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "user_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
        ("0110c853-1d09-52d8-d73e-1194e95b5f19", "user_0123456789abcdefghjkmnpqrs"),
        ("01890a5d-ac96-774b-bcce-b302099a8057", "user_01h455vb4pex5vsknk084sn02q"),
    ])
    func form(uuid: String, text: String) throws {
        let id = UserID(try #require(UUIDBits(uuid)))
        #expect(id.description == text)
        #expect(UserID(text) == id)
        #expect(id.uuid.description == uuid)
    }

    @Test("come back from their text")
    func roundTrip() {
        for milliseconds in 0..<1000 {
            let id = MessageID(.v7(milliseconds: Int64(milliseconds) * 1_234_567_891))
            #expect(MessageID(id.description) == id)
        }
    }

    @Test("of other tables, in upper case, or with anything missing or added are refused", arguments: [
        "message_01h455vb4pex5vsknk084sn02q", "user_01H455VB4PEX5VSKNK084SN02Q", "USER_01h455vb4pex5vsknk084sn02q",
        "01h455vb4pex5vsknk084sn02q", "user01h455vb4pex5vsknk084sn02q", "user_01h455vb4pex5vsknk084sn02", "user_",
        "user_01h455vb4pex5vsknk084sn02qq", "user_81h455vb4pex5vsknk084sn02q", "user_01h455vb4pex5vsknk084sn02l",
        "user_01h455vb4pex5vsknk084sn02é", " user_01h455vb4pex5vsknk084sn02q", "", "_01h455vb4pex5vsknk084sn02q",
    ])
    func refused(text: String) {
        #expect(UserID(text) == nil)
    }

    @Test("sort by time, as text and as values")
    func order() {
        let ids = (0..<100).map { UserID(.v7(milliseconds: Int64($0) * 1000)) }
        #expect(ids == ids.sorted())
        #expect(ids.map(\.description) == ids.map(\.description).sorted())
    }
}

@Suite("Log positions")
struct LogPositionTests {
    @Test("are written as PostgreSQL writes them", arguments: [
        (UInt64(0), "0/0"), (0x16_B374_D848, "16/B374D848"), (.max, "FFFFFFFF/FFFFFFFF"), (0x1_0000_0000, "1/0"),
    ])
    func form(position: UInt64, text: String) {
        #expect(LogPosition(position).description == text)
        #expect(LogPosition(text) == LogPosition(position))
    }

    @Test("other texts are none", arguments: ["", "0", "/", "0/", "/0", "1/2/3", "G/0", "100000000/0", "0/100000000", "-1/0"])
    func refused(text: String) {
        #expect(LogPosition(text) == nil)
    }
}
