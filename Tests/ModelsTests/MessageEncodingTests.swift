import Domain
import Registry
import Testing
import Wire

@testable import Models

@Suite("Messages as JSON")
struct MessageEncodingTests {
    @Test(
        "the written-out encoding is what the shape says",
        arguments: [
            ("hello", false, 1_795_379_664_658_067), ("\"\\\n\u{1F9D1}", true, 1_795_379_664_658_000), ("x", false, 0),
            ("y", true, 1_795_379_664_600_000), ("z", true, 1_795_379_664_650_000), ("before 1970", false, -1_500),
        ] as [(String, Bool, Int64)])
    func encodings(content: String, read: Bool, microseconds: Int64) throws {
        let message = Message(
            id: MessageID(.random()), content: content, senderID: UserID(.random()), recipientID: UserID(.random()),
            conversationID: ConversationID(.random()), read: read, createdAt: Instant(microseconds: microseconds))
        let written = JSONWriter.bytes { message.encode(into: &$0) }
        let shaped = JSONWriter.bytes { Message.shape.encode(message, into: &$0) }
        #expect(written == shaped)
        let parsed = try JSON(parsing: written)
        #expect(parsed["createdAt"] == .number(Double(microseconds) / 1000))
    }
}
