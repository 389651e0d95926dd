import Domain
import Models
import Postgres
import Registry

/// messages:list
enum ListMessages {
    static let function = FunctionDefinition.query(
        "messages:list", "The messages of a conversation, newest first, in pages.",
        access: .signedIn,
        arguments: Arguments(.required("conversationId", ConversationID.self), .optional("paginationOpts", PaginationOptions.self)),
        returns: Page<Message>.self
    ) { context, arguments in
        let (conversationID, options) = arguments
        let list = "messages:list/\(conversationID)"
        let range = try context.pageRange(options, of: list)
        let rows = try await context.rows(
            page(
                conversationID, try context.principal.userID, range.below?.id ?? .highest, range.atLeast?.id ?? .lowest,
                range.isEmpty ? 0 : range.limit),
            reading: .messages(in: conversationID), .conversation(conversationID))
        guard let first = rows.first else {
            try await refuse(conversationID, context)
        }
        // A conversation without messages in this range is one row of NULLs.
        let messages = first.isNull(0) ? [] : try rows.map { try Message($0) }
        return context.page(messages.map { (ListKey($0.id.uuid), $0) }, range: range, of: list, isConfidential: true)
    }

    /// No row at all means: no such conversation, or not the caller's.
    private static func refuse(_ conversationID: ConversationID, _ context: QueryContext) async throws -> Never {
        let found = try await context.rows(exists(conversationID), reading: .conversation(conversationID))
        throw found.isEmpty
            ? APIError.notFound("There is no such conversation.")
            : APIError.forbidden("Only the two members of a conversation may read it.")
    }

    /// Membership and messages in one statement: conversation, caller, exclusive upper and inclusive lower bound, limit.
    private static let page = Statement(
        "messages.list",
        """
        SELECT \(Message.columns)
        FROM conversations AS conversation
        LEFT JOIN LATERAL (
            SELECT *
            FROM messages
            WHERE messages.conversation_id = conversation.id
              AND messages.id < $3
              AND messages.id >= $4
            ORDER BY messages.id DESC
            LIMIT $5
        ) AS message ON true
        WHERE conversation.id = $1
          AND $2 IN (conversation.low_user_id, conversation.high_user_id)
        ORDER BY message.id DESC
        """)

    private static let exists = Statement(
        "conversations.exists",
        """
        SELECT conversation.id
        FROM conversations AS conversation
        WHERE conversation.id = $1
        """)
}
