import Domain
import Postgres
import Registry

/// messages:markConversationAsRead
enum MarkConversationAsRead {
    static let function = FunctionDefinition.mutation(
        "messages:markConversationAsRead", "Marks all messages to the caller in one conversation as read.",
        access: .signedIn,
        arguments: Arguments(.required("conversationId", ConversationID.self)),
        returns: Null.self
    ) { context, conversationID in
        let userID = try context.principal.userID
        guard let row = try await context.run(mark(conversationID, userID)).first else {
            throw APIError.notFound("There is no such conversation.")
        }
        guard try row.decode(0, as: Bool.self) else {
            throw APIError.forbidden("Only the two members of a conversation may mark its messages as read.")
        }
        return Null()
    }

    /// Conversation and caller. Gives whether the caller is a member, and no row for a conversation that is not there.
    private static let mark = Statement(
        "messages.mark_conversation_as_read",
        """
        WITH conversation AS (
            SELECT conversations.id, $2 IN (conversations.low_user_id, conversations.high_user_id) AS has_caller
            FROM conversations
            WHERE conversations.id = $1
        ), marked AS (
            UPDATE messages
            SET read = true
            FROM conversation
            WHERE messages.conversation_id = conversation.id
              AND messages.recipient_id = $2
              AND NOT messages.read
              AND conversation.has_caller
        )
        SELECT conversation.has_caller
        FROM conversation
        """)
}
