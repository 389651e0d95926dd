/// A table whose commits the change feed delivers. The migration that publishes a table and this list change together;
/// a test compares them.
public enum FeedTable: String, Sendable, CaseIterable {
    case users
    case conversations
    case messages
    case sessions
    case securityEvents = "security_events"
    case systemMetrics = "system_metrics"
    case userAnalytics = "user_analytics"
    case userActivity = "user_activity"

    /// The published `uuid` columns by whose values queries may depend on rows.
    ///
    /// A row's new values always come through the feed. An old value comes if it is in the replica identity; a deleted row of
    /// which one does not counts as a change of the whole table.
    public var keys: [FeedKey] {
        switch self {
        case .users: [.id]
        case .conversations: [.id, .lowUserID, .highUserID]
        case .messages: [.conversationID, .senderID, .recipientID]
        case .sessions: [.id, .userID]
        case .securityEvents, .systemMetrics, .userAnalytics, .userActivity: []
        }
    }
}

/// A column by whose value queries depend on rows.
public enum FeedKey: String, Sendable {
    case id
    case userID = "user_id"
    case lowUserID = "low_user_id"
    case highUserID = "high_user_id"
    case conversationID = "conversation_id"
    case senderID = "sender_id"
    case recipientID = "recipient_id"
}

/// What a query depends on and a commit touches: all rows of a table, or those with one value in one key column.
///
/// A changed row touches the whole-table topic and one topic for each key, with the old and the new value.
public struct Topic: Hashable, Sendable {
    public let table: FeedTable
    /// Nil: the whole table.
    public let key: FeedKey?
    public let value: UUIDBits

    private init(table: FeedTable, key: FeedKey?, value: UUIDBits) {
        self.table = table
        self.key = key
        self.value = value
    }

    public init(_ table: FeedTable, _ key: FeedKey, _ value: UUIDBits) {
        self.init(table: table, key: key, value: value)
    }

    /// Any change of the table.
    public static func all(of table: FeedTable) -> Topic {
        Topic(table: table, key: nil, value: .lowest)
    }

    public static func user(_ id: UserID) -> Topic { Topic(.users, .id, id.uuid) }
    public static func conversation(_ id: ConversationID) -> Topic { Topic(.conversations, .id, id.uuid) }
    public static func messages(in id: ConversationID) -> Topic { Topic(.messages, .conversationID, id.uuid) }
    public static func messages(from id: UserID) -> Topic { Topic(.messages, .senderID, id.uuid) }
    public static func messages(to id: UserID) -> Topic { Topic(.messages, .recipientID, id.uuid) }

    /// The conversations that have this member.
    public static func conversations(of id: UserID) -> [Topic] {
        [Topic(.conversations, .lowUserID, id.uuid), Topic(.conversations, .highUserID, id.uuid)]
    }
}
