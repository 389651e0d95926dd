import Domain
import Postgres

/// The `security_events` table, for events that belong to a change: they are stored in its transaction, so that there is neither
/// without the other. All other events come through a spool.
public enum SecurityEventStore {
    /// Stores an event that happens with the transaction.
    ///
    /// - Parameters:
    ///   - type: one of `SecurityEventType`.
    ///   - details: one sentence for people.
    ///   - source: who did it.
    ///   - context: what else is known, the text of a JSON object.
    public static func insertion(
        _ type: String, _ severity: Severity, _ details: String, user: UserID, source: String, context: String? = nil
    ) -> BoundStatement {
        insert(type, severity, user, details, source, context)
    }

    private static let insert = Statement(
        "security_events.insert",
        """
        INSERT INTO security_events (type, severity, user_id, metadata)
        VALUES (
            $1, $2, $3,
            jsonb_strip_nulls(jsonb_build_object('details', $4::text, 'source', $5::text, 'context', $6::text)))
        """)
}
