import Domain
import Postgres
import Registry
import Store
import Wire

/// One message of a conversation.
public struct Message: ConvexObject {
    public let id: MessageID
    public let content: String
    public let senderID: UserID
    public let recipientID: UserID
    public let conversationID: ConversationID
    public let read: Bool
    public let createdAt: Instant

    public static let shape = ObjectShape<Message>(
        .required("_id") { $0.id },
        .required("content") { $0.content },
        .required("senderId") { $0.senderID },
        .required("recipientId") { $0.recipientID },
        .required("conversationId") { $0.conversationID },
        .required("read") { $0.read },
        .required("createdAt") { $0.createdAt })

    /// What `shape` says, written out: lists of messages are the busiest of all answers. A test compares the two.
    public func encode(into writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("_id")
        id.encode(into: &writer)
        writer.field("content")
        writer.string(content)
        writer.field("senderId")
        senderID.encode(into: &writer)
        writer.field("recipientId")
        recipientID.encode(into: &writer)
        writer.field("conversationId")
        conversationID.encode(into: &writer)
        writer.field("read")
        writer.bool(read)
        writer.field("createdAt")
        createdAt.encode(into: &writer)
        writer.endObject()
    }

    /// What every statement that reads messages selects, from a table or alias `message`, in this order.
    public static let columns = """
        message.id, message.content, message.sender_id, message.recipient_id, message.conversation_id, message.read,
        message.created_at
        """
    public static let columnCount = 7

    /// The longest content, in bytes of UTF-8.
    public static let maximumContentBytes = 16 << 10
}

extension Message {
    /// Reads `columns`, of which the first is number `first`.
    public init(_ row: Row, first: Int = 0) throws {
        id = try row.decode(first)
        content = try row.decode(first + 1)
        senderID = try row.decode(first + 2)
        recipientID = try row.decode(first + 3)
        conversationID = try row.decode(first + 4)
        read = try row.decode(first + 5)
        createdAt = try row.decode(first + 6)
    }
}
