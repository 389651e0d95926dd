import Domain
import Postgres
import Registry
import Store

/// messages:markAsRead
enum MarkAsRead {
    /// More than a page of messages, less than a hostile amount.
    private static let maximumCount = 1000

    static let function = FunctionDefinition.mutation(
        "messages:markAsRead", "Marks messages to the caller as read: all of them, or none if one is not theirs.",
        access: .signedIn,
        arguments: Arguments(.required("messageIds", [MessageID].self)),
        returns: Null.self
    ) { context, messageIDs in
        guard messageIDs.count <= maximumCount else {
            throw APIError.invalid(".messageIds", "At most \(maximumCount) messages can be marked at once.")
        }
        let distinct = Set(messageIDs)
        let userID = try context.principal.userID
        guard let row = try await context.run(mark(PostgresArray(Array(distinct)), userID, distinct.count)).first else {
            return Null()
        }
        let (found, foreign): (Int, Int) = (try row.decode(0), try row.decode(1))
        if foreign > 0 { throw APIError.forbidden("Only the recipient of a message may mark it as read.") }
        if found < distinct.count { throw APIError.notFound("There is no such message.") }
        return Null()
    }

    /// Marks the messages if all of them are the caller's: ids, caller, how many ids. Gives how many were found, and how many
    /// of those are not the caller's.
    private static let mark = Statement(
        "messages.mark_as_read",
        """
        WITH wanted AS (
            SELECT messages.conversation_id, messages.id, messages.recipient_id
            FROM messages
            WHERE messages.id = ANY ($1)
        ), summary AS (
            SELECT count(*) AS found, count(*) FILTER (WHERE wanted.recipient_id <> $2) AS of_others
            FROM wanted
        ), marked AS (
            UPDATE messages
            SET read = true
            FROM wanted, summary
            WHERE messages.conversation_id = wanted.conversation_id
              AND messages.id = wanted.id
              AND NOT messages.read
              AND summary.found = $3
              AND summary.of_others = 0
        )
        SELECT summary.found, summary.of_others
        FROM summary
        """)
}
