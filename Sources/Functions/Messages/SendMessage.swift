import Domain
import Models
import Postgres
import Registry
import Store

/// messages:send
enum SendMessage {
    static let function = FunctionDefinition.mutation(
        "messages:send",
        "Sends a message to another user and gives its id; a repeated clientMessageId gives the first message's id.",
        access: .signedIn,
        arguments: Arguments(
            .required("content", String.self), .required("recipientId", UserID.self), .optional("clientMessageId", String.self)),
        returns: MessageID.self
    ) { context, arguments in
        let (content, recipientID, clientMessageID) = arguments
        let senderID = try context.principal.userID
        try check(content, clientMessageID)
        guard recipientID != senderID else { throw APIError.invalid(".recipientId", "A message needs somebody else as its recipient.") }
        // Nearly always the conversation exists, the recipient is there, and the message is new: one statement.
        if let row = try await context.run(insert(senderID, recipientID, content, clientMessageID)).first {
            return try row.decode(0)
        }
        return try await context.transaction { transaction in
            try await sendFirstOrRepeated(content, from: senderID, to: recipientID, clientMessageID, in: transaction)
        }
    }

    private static func check(_ content: String, _ clientMessageID: String?) throws(APIError) {
        guard content.contains(where: { !$0.isWhitespace }) else { throw .invalid(".content", "A message must not be empty.") }
        guard content.utf8.count <= Message.maximumContentBytes else {
            throw .invalid(".content", "A message may have at most \(Message.maximumContentBytes) bytes.")
        }
        if let clientMessageID, !(1...128).contains(clientMessageID.utf8.count) {
            throw .invalid(".clientMessageId", "A clientMessageId has 1 to 128 bytes.")
        }
    }

    /// The insert wrote nothing: the message was sent before, the recipient is gone, or the two have not talked yet.
    private static func sendFirstOrRepeated(
        _ content: String, from senderID: UserID, to recipientID: UserID, _ clientMessageID: String?, in transaction: Transaction
    ) async throws -> MessageID {
        if let clientMessageID, let row = try await transaction.execute(findRepeated(senderID, clientMessageID)).first {
            return try row.decode(0)
        }
        guard try await transaction.execute(findRecipient(recipientID)).first != nil else {
            throw APIError.notFound("There is no such user, or no longer.")
        }
        _ = try await transaction.execute(createConversation(senderID, recipientID))
        if let row = try await transaction.execute(insert(senderID, recipientID, content, clientMessageID)).first {
            return try row.decode(0)
        }
        // The same clientMessageId was committed by another request just now.
        guard let clientMessageID, let row = try await transaction.execute(findRepeated(senderID, clientMessageID)).first else {
            throw APIError.notFound("There is no such user, or no longer.")
        }
        return try row.decode(0)
    }

    /// Sender, recipient, content, the sender's name for it. No row when one of them is missing or the name was used before.
    private static let insert = Statement(
        "messages.send",
        """
        INSERT INTO messages (conversation_id, sender_id, recipient_id, content, client_message_id)
        SELECT conversations.id, $1, users.id, $3, $4
        FROM conversations
        JOIN users ON users.id = $2 AND users.removed_at IS NULL
        WHERE conversations.low_user_id = LEAST($1, $2)
          AND conversations.high_user_id = GREATEST($1, $2)
        ON CONFLICT (sender_id, client_message_id) WHERE client_message_id IS NOT NULL DO NOTHING
        RETURNING messages.id
        """)

    private static let findRepeated = Statement(
        "messages.find_by_client_message_id",
        """
        SELECT messages.id
        FROM messages
        WHERE messages.sender_id = $1
          AND messages.client_message_id = $2
        """)

    /// Locked, so that the account is not removed before its first message is there.
    private static let findRecipient = Statement(
        "users.find_recipient",
        """
        SELECT users.id
        FROM users
        WHERE users.id = $1
          AND users.removed_at IS NULL
        FOR KEY SHARE
        """)

    private static let createConversation = Statement(
        "conversations.create",
        """
        INSERT INTO conversations (low_user_id, high_user_id)
        VALUES (LEAST($1, $2), GREATEST($1, $2))
        ON CONFLICT (low_user_id, high_user_id) DO NOTHING
        """)
}
