import Domain
import Postgres
import Registry

/// A conversation as one of its members sees it in the inbox.
public struct ConversationSummary: ConvexObject {
    public let id: ConversationID
    public let otherUser: UserProfile
    public let lastMessage: Message
    /// How many messages to the viewer are not marked as read.
    public let unreadCount: Int
    public let createdAt: Instant

    public static let shape = ObjectShape<ConversationSummary>(
        .required("_id") { $0.id },
        .required("otherUser") { $0.otherUser },
        .required("lastMessage") { $0.lastMessage },
        .required("unreadCount") { Double($0.unreadCount) },
        .required("createdAt") { $0.createdAt })

    /// Reads conversation id, its creation, the unread count, then `Message.columns`, then `UserProfile.columns`.
    public init(_ row: Row, viewer: Principal) throws {
        id = try row.decode(0)
        createdAt = try row.decode(1)
        unreadCount = try row.decode(2)
        lastMessage = try Message(row, first: 3)
        otherUser = try UserProfile(row, first: 3 + Message.columnCount, viewer: viewer)
    }
}
