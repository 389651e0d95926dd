import Domain
import Events
import Logging
import Metrics
import Postgres
import Rules
import Store
import Wire

/// Shows stored events to the rules, and stores what these raise.
///
/// Each daemon remembers what it has seen by itself, and whoever looks first raises: the table says what has been raised before.
/// After a start, a daemon looks at the last day anew.
struct Detections {
    /// How old events may be when they come.
    private static let maximumAge = Duration.seconds(86_400)
    /// At most so many events are looked at in a turn, the newest ones. It makes a difference only when a single transaction has
    /// stored more of them.
    private static let maximumCount = 50_000

    private var detector: Detector
    private let logger: Logger
    /// What has been shown to the rules: all rows that this snapshot sees. Nil: nothing yet.
    private(set) var seen: String?
    /// Found, and not stored yet.
    private(set) var pending: [Detection] = []

    init(rules: [DetectionRule], logger: Logger) {
        detector = Detector(rules: rules)
        self.logger = logger
        // All are there from the start: Prometheus does not see the beginning of a counter as a change.
        for rule in rules { _ = Self.raisedCounter(rule.name) }
    }

    private static func raisedCounter(_ rule: String) -> Counter {
        Counter(label: "attune_detections_raised_total", dimensions: [("rule", rule)])
    }

    /// Whether there is nothing to find.
    var isIdle: Bool { detector.types.isEmpty }

    /// Looks at the next portion of new events. Gives whether there are more.
    mutating func lookAtPortion(in database: PostgresClient) async throws -> Bool {
        let (seen, types) = (seen, detector.types)
        let (rows, until, hasMore) = try await database.withTransaction { transaction in
            // The planner knows neither snapshot, and would expect millions of rows.
            let results = try await transaction.execute([
                Self.avoidReadingTables(), Self.avoidCompiling(), Self.next(seen, EventCounting.portionSize),
            ])
            guard let next = results[2].first else { preconditionFailure("a SELECT without FROM has a row") }
            let until: String = try next.decode(0)
            let rows = try await Self.newEvents(seen: seen, until: until, types: types, in: transaction)
            return (rows, until, try next.decode(1, as: Bool.self))
        }
        pending += detector.add(try rows.map { try StoredEvent($0) })
        self.seen = until
        return hasMore
    }

    /// Stores the events that rules have raised. While another process has the lock they wait for the next time.
    mutating func raise(in database: PostgresClient) async throws {
        let (pending, logger) = (pending, logger)
        if try await database.asLeader({ try await Self.raise(pending, in: $0, logger: logger) }) != nil { self.pending = [] }
    }

    private static func newEvents(
        seen: String?, until: String, types: [String], in transaction: Transaction
    ) async throws -> QueryResult {
        let types = PostgresArray(types)
        let (age, ahead) = (Int(maximumAge.components.seconds), Int(SecurityLevel.clockTolerance.components.seconds))
        guard let seen else {
            let severities = PostgresArray(Severity.allCases.map(\.rawValue))
            return try await transaction.execute(lastDay(until, types, age, ahead, maximumCount, severities))
        }
        return try await transaction.execute(between(until, types, age, ahead, maximumCount, seen))
    }

    private static func raise(_ detections: [Detection], in transaction: Transaction, logger: Logger) async throws {
        var raised: [String: Int] = [:]
        // A bound for what is under way at once; usually there is one or none.
        for start in stride(from: 0, to: detections.count, by: 500) {
            let portion = detections[start..<min(start + 500, detections.count)]
            let results = try await transaction.execute(portion.map(\.insertion))
            for (detection, result) in zip(portion, results) where !result.isEmpty {
                raised[detection.rule.name, default: 0] += 1
            }
        }
        for (rule, count) in raised {
            raisedCounter(rule).increment(by: count)
            logger.notice("a rule has raised security events", metadata: ["rule": "\(rule)", "events": "\(count)"])
        }
    }

    private static let avoidReadingTables = Statement(
        "watch.avoid_reading_tables", "SELECT set_config('enable_seqscan', 'off', true)")
    private static let avoidCompiling = Statement("watch.avoid_compiling", "SELECT set_config('jit', 'off', true)")

    /// Snapshot or null, number of rows; gives a snapshot, and whether there are rows behind it.
    private static let next = Statement(
        "watch.next_events",
        """
        SELECT next.until::text, next.until::text <> pg_current_snapshot()::text
        FROM (
            SELECT CASE WHEN $1::text IS NULL THEN pg_current_snapshot() ELSE next_security_events($1::text::pg_snapshot, $2) END
        ) AS next (until)
        """)

    /// All parameters but the last are the same: snapshot up to which, types, seconds back, seconds ahead, limit; then severities.
    private static let lastDay = newEvents(
        "last_day",
        """
        SELECT *
        FROM security_events
        WHERE type = ANY ($2) AND severity = ANY ($6) AND occurred_at > now() - $3 * interval '1 second'
        """)

    /// The last parameter is the snapshot since which. OFFSET keeps the conditions on type and time outside: they are not what the
    /// rows should be found by.
    private static let between = newEvents(
        "between",
        """
        (
            SELECT *
            FROM security_events
            WHERE stored_by >= pg_snapshot_xmax($6::text::pg_snapshot) AND stored_by < pg_snapshot_xmax($1::text::pg_snapshot)
            OFFSET 0
        )
        UNION ALL
        (
            SELECT *
            FROM security_events
            WHERE stored_by = ANY (ARRAY(SELECT pg_snapshot_xip($6::text::pg_snapshot)))
            OFFSET 0
        )
        """)

    private static func newEvents(_ name: String, _ source: String) -> Statement {
        Statement(
            "watch.new_events." + name,
            """
            SELECT event.id, event.occurred_at, event.type, event.severity, event.user_id, host(event.ip),
                event.metadata ->> 'context'
            FROM (
            \(source)
            ) AS event
            WHERE pg_visible_in_snapshot(event.stored_by, $1::text::pg_snapshot)
              AND event.type = ANY ($2)
              AND event.occurred_at > now() - $3 * interval '1 second'
              AND event.occurred_at < now() + $4 * interval '1 second'
              AND event.metadata ->> 'source' IS DISTINCT FROM '\(ReportedEvent.detectionSource)'
            ORDER BY event.occurred_at DESC
            LIMIT $5
            """)
    }
}

extension StoredEvent {
    /// Reads what the statements above select.
    fileprivate init(_ row: Row) throws {
        self.init(
            id: try row.decode(0), occurredAt: try row.decode(1), type: try row.decode(2), severity: try row.decode(3),
            userID: try row.decode(4), ip: try row.decode(5, as: String?.self).flatMap { IPAddress($0) },
            context: try row.decode(6))
    }
}

extension Detection {
    /// Stores the event that the rule raises, unless it has been raised for the key not long ago; then it gives no row.
    ///
    /// Time is divided into pieces as long as the rule's quiet time; in the piece before and the one after there must not be an
    /// event already. So two are at least that time apart, and a repeated look at the same events finds what it found before.
    fileprivate var insertion: BoundStatement {
        let piece = last.microseconds / max(1, Int64(rule.quiet / .microseconds(1)))
        // A key is a user's id or a name that no account has, and an address or a network.
        let userID = rule.by == .account || rule.by == .user ? UserID(key) : nil
        let ip = rule.by == .ip || rule.by == .network ? key : nil
        return Self.insert(
            mark(piece: piece), PostgresArray([mark(piece: piece - 1), mark(piece: piece + 1)]), last, rule.raise.type,
            rule.raise.severity, userID, ip, rule.raise.details(count: count, key: key), ReportedEvent.detectionSource, context)
    }

    /// What is stored of an event that is raised in one piece of time.
    private func mark(piece: Int64) -> UUIDBits {
        let event = ReportedEvent(
            source: ReportedEvent.detectionSource, id: "\(rule.name)/\(piece)/\(key)", occurredAt: last, type: rule.raise.type,
            severity: rule.raise.severity, details: "")
        guard let mark = event.key else { preconditionFailure("an event with an id has a key") }
        return mark
    }

    /// The evidence.
    private var context: String {
        let bytes = JSONWriter.bytes { writer in
            writer.beginObject()
            writer.field("rule")
            writer.string(rule.name)
            writer.field("key")
            writer.string(key)
            writer.field("count")
            writer.float64(Double(count))
            writer.field("first")
            writer.milliseconds(first.microseconds)
            writer.field("last")
            writer.milliseconds(last.microseconds)
            writer.field("events")
            writer.beginArray()
            for id in events { writer.string(id.description) }
            writer.endArray()
            writer.endObject()
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let insert = Statement(
        "watch.raise",
        """
        WITH mark AS (
            INSERT INTO security_event_keys (key)
            SELECT $1
            WHERE NOT EXISTS (SELECT FROM security_event_keys WHERE key = ANY ($2))
            ON CONFLICT ON CONSTRAINT security_event_keys_pkey DO NOTHING
            RETURNING key
        )
        INSERT INTO security_events (occurred_at, type, severity, user_id, ip, metadata)
        SELECT $3, $4, $5, $6, $7::text::inet, jsonb_build_object('details', $8::text, 'source', $9::text, 'context', $10::text)
        FROM mark
        RETURNING id
        """)
}
