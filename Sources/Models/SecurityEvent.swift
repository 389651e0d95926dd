import Domain
import Postgres
import Registry
import Store

/// Something that happened and matters for security.
public struct SecurityEvent: ConvexObject {
    public let id: SecurityEventID
    public let timestamp: Instant
    /// See `SecurityEventType`; reporters may have types of their own.
    public let type: String
    public let severity: Severity
    public let userID: UserID?
    /// An address, or a network in CIDR notation.
    public let ip: String?
    public let metadata: SecurityEventMetadata?

    public static let shape = ObjectShape<SecurityEvent>(
        .required("_id") { $0.id },
        .required("timestamp") { $0.timestamp },
        .required("type") { $0.type },
        .required("severity") { $0.severity },
        .optional("userId") { $0.userID },
        .optional("ip") { $0.ip },
        .optional("metadata") { $0.metadata })

    /// What every statement that reads security events selects, from a table or alias `event`, in this order.
    ///
    /// A person may have inserted metadata of any form: what has no text `details` becomes the details as a whole.
    public static let columns = """
        event.id, event.occurred_at, event.type, event.severity, event.user_id, abbrev(event.ip),
        CASE
            WHEN jsonb_typeof(event.metadata -> 'details') = 'string' THEN event.metadata ->> 'details'
            ELSE event.metadata #>> '{}'
        END,
        CASE WHEN jsonb_typeof(event.metadata -> 'details') = 'string' THEN event.metadata ->> 'source' END,
        CASE WHEN jsonb_typeof(event.metadata -> 'details') = 'string' THEN event.metadata ->> 'context' END
        """

    /// Reads `columns`.
    public init(_ row: Row) throws {
        id = try row.decode(0)
        timestamp = try row.decode(1)
        type = try row.decode(2)
        severity = try row.decode(3)
        userID = try row.decode(4)
        ip = try row.decode(5)
        metadata = try row.decode(6, as: String?.self).map { details in
            SecurityEventMetadata(details: details, source: try row.decode(7), context: try row.decode(8))
        }
    }
}

/// What else is known of a security event.
public struct SecurityEventMetadata: ConvexObject {
    /// One sentence for people.
    public let details: String
    /// Who reported it.
    public let source: String?
    /// Anything else: a JSON object's text, or plain text.
    public let context: String?

    public static let shape = ObjectShape<SecurityEventMetadata>(
        .required("details") { $0.details },
        .optional("source") { $0.source },
        .optional("context") { $0.context })
}
