import Domain
import Models
import Postgres
import Registry
import Store

/// messages:listConversations
enum ListConversations {
    static let function = FunctionDefinition.query(
        "messages:listConversations",
        "The caller's conversations, the one with the newest message first, each with the other user, the last message and the "
            + "number of unread ones.",
        access: .signedIn,
        arguments: Arguments(.optional("paginationOpts", PaginationOptions.self)),
        returns: Page<ConversationSummary>.self
    ) { context, options in
        let caller = try context.principal
        let list = "messages:listConversations/\(caller.userID)"
        let range = try context.pageRange(options, of: list)
        context.depends(on: Topic.conversations(of: caller.userID))
        let rows = try await context.rows(
            page(
                caller.userID, range.below?.id ?? .highest, range.atLeast?.id ?? .lowest,
                range.isEmpty ? 0 : range.limit),
            reading: .messages(from: caller.userID), .messages(to: caller.userID))
        let summaries = try rows.map { try ConversationSummary($0, viewer: caller) }
        context.depends(on: summaries.map { .user($0.otherUser.id) })
        return context.page(summaries.map { (ListKey($0.lastMessage.id.uuid), $0) }, range: range, of: list)
    }

    /// Caller, exclusive upper and inclusive lower bound of the last message's id, limit. Each conversation costs two index
    /// look-ups; the counts are made for the page's rows only.
    private static let page = Statement(
        "messages.list_conversations",
        """
        SELECT conversation.id, conversation.created_at, unread.count, \(Message.columns), \(UserProfile.columns)
        FROM (
            SELECT conversations.id, conversations.created_at, conversations.high_user_id AS other_id
            FROM conversations
            WHERE conversations.low_user_id = $1
            UNION ALL
            SELECT conversations.id, conversations.created_at, conversations.low_user_id AS other_id
            FROM conversations
            WHERE conversations.high_user_id = $1
        ) AS conversation
        CROSS JOIN LATERAL (
            SELECT *
            FROM messages
            WHERE messages.conversation_id = conversation.id
            ORDER BY messages.id DESC
            LIMIT 1
        ) AS message
        CROSS JOIN LATERAL (
            SELECT count(*) AS count
            FROM messages
            WHERE messages.recipient_id = $1
              AND messages.conversation_id = conversation.id
              AND NOT messages.read
        ) AS unread
        JOIN users ON users.id = conversation.other_id
        WHERE message.id < $2
          AND message.id >= $3
        ORDER BY message.id DESC
        LIMIT $4
        """)
}
