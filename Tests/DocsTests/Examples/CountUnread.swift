import Domain
import Postgres
import Registry

/// messages:unreadCount
enum CountUnread {
    static let function = FunctionDefinition.query(
        "messages:unreadCount", "How many messages to the caller are not marked as read, over all conversations.",
        access: .signedIn,
        arguments: Arguments(),
        returns: Double.self
    ) { context, _ in
        let userID = try context.principal.userID
        guard let row = try await context.rows(count(userID), reading: .messages(to: userID)).first else { return 0 }
        return Double(try row.decode(0, as: Int.self))
    }

    private static let count = Statement(
        "messages.count_unread",
        """
        SELECT count(*)
        FROM messages
        WHERE messages.recipient_id = $1
          AND NOT messages.read
        """)
}
