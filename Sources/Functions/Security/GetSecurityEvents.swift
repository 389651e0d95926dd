import Domain
import Models
import Postgres
import Registry
import Store
import Wire

/// security:getSecurityEvents
enum GetSecurityEvents {
    static let function = FunctionDefinition.query(
        "security:getSecurityEvents",
        "Security events, newest first: of one type, of one severity, from `since` (inclusive) until `until` (exclusive). Without "
            + "`paginationOpts` an array of at most 1000.",
        access: .admin,
        arguments: Arguments(
            .optional("type", String.self), .optional("severity", Severity.self), .optional("since", Instant.self),
            .optional("until", Instant.self), .optional("paginationOpts", PaginationOptions.self)),
        returns: SecurityEventList.self
    ) { context, arguments in
        let (type, severity, since, until, options) = arguments
        let filter = SecurityEventFilter(type: type, severity: severity, since: since, until: until)
        guard let options else {
            let rows = try await context.rows(filter.events(limit: maximumCount), reading: .all(of: .securityEvents))
            return .all(try rows.map { try SecurityEvent($0) })
        }
        let range = try context.pageRange(options, of: filter.list)
        let rows = try await context.rows(
            filter.events(below: range.below, atLeast: range.atLeast, limit: range.isEmpty ? 0 : range.limit),
            reading: .all(of: .securityEvents))
        let events = try rows.map { try SecurityEvent($0) }
        return .page(context.page(events.map { (ListKey($0.timestamp, $0.id.uuid), $0) }, range: range, of: filter.list))
    }

    private static let maximumCount = 1000
}

/// An array for callers who ask for no pages, else a page.
enum SecurityEventList: ConvexEncodable {
    case all([SecurityEvent])
    case page(Page<SecurityEvent>)

    static let validator = Validator.union([[SecurityEvent].validator, Page<SecurityEvent>.validator])

    func encode(into writer: inout JSONWriter) {
        switch self {
        case .all(let events): events.encode(into: &writer)
        case .page(let page): page.encode(into: &writer)
        }
    }
}

/// Which events are asked for.
struct SecurityEventFilter {
    let type: String?
    let severity: Severity?
    /// Inclusive.
    let since: Instant?
    /// Exclusive.
    let until: Instant?

    /// Names the list for its cursors. The type comes last, since it may be any text.
    var list: String {
        let times = [since, until].map { $0.map { String($0.microseconds) } ?? "" }.joined(separator: "/")
        return "security:getSecurityEvents/\(times)/\(severity?.rawValue ?? "")/\(type.map { "type " + $0 } ?? "")"
    }

    /// - Parameters:
    ///   - below: only events behind this key.
    ///   - atLeast: only events up to and including this key.
    func events(below: ListKey? = nil, atLeast: ListKey? = nil, limit: Int) -> BoundStatement {
        let below = below ?? ListKey(until ?? .distantFuture, until == nil ? .highest : .lowest)
        let atLeast = atLeast ?? ListKey(since ?? .distantPast, .lowest)
        let (from, to) = (atLeast.moment ?? .distantPast, below.moment ?? .distantFuture)
        return switch (type, severity) {
        case (nil, nil): Self.all(to, below.id, from, atLeast.id, limit)
        case (nil, let severity?): Self.ofSeverity(to, below.id, from, atLeast.id, limit, severity)
        case (let type?, nil): Self.ofType(to, below.id, from, atLeast.id, limit, type)
        case (let type?, let severity?): Self.ofTypeAndSeverity(to, below.id, from, atLeast.id, limit, type, severity)
        }
    }

    // A statement for each combination, since a plan is made once for all values: with `$6 IS NULL OR type = $6` it could not use
    // an index. Each reads one range of an index in each partition, from its end, and stops after as many rows as are asked for.

    private static let all = statement("all", ranges: [""])
    private static let ofSeverity = statement("of_severity", ranges: ["severity = $6 AND"])
    private static let ofType = statement(
        "of_type", ranges: Severity.allCases.map { "type = $6 AND severity = '\($0.rawValue)' AND" })
    private static let ofTypeAndSeverity = statement("of_type_and_severity", ranges: ["type = $6 AND severity = $7 AND"])

    /// Parameters: exclusive upper bound (time and id), inclusive lower bound, limit, then those of `ranges`.
    ///
    /// - Parameter ranges: for each range of an index the condition on the columns in front of time and id.
    private static func statement(_ name: String, ranges: [String]) -> Statement {
        // The bounds of the time alone end a range, and tell which partitions have no part in it; with those of time and id it
        // starts at the right one of many events of one moment. The inner limit is more than anybody asks for: it tells the planner
        // that few rows will be wanted, as a parameter does not.
        let parts = ranges.map { range in
            """
            (
                SELECT *
                FROM (
                    SELECT *
                    FROM security_events
                    WHERE \(range) occurred_at BETWEEN $3 AND $1
                      AND (occurred_at, id) < ($1, $2)
                      AND (occurred_at, id) >= ($3, $4)
                    ORDER BY occurred_at DESC, id DESC
                    LIMIT 5000
                ) AS range
                ORDER BY occurred_at DESC, id DESC
                LIMIT $5
            )
            """
        }
        return Statement(
            "security_events." + name,
            """
            SELECT \(SecurityEvent.columns)
            FROM (
            \(parts.joined(separator: "\nUNION ALL\n"))
            ) AS event
            ORDER BY event.occurred_at DESC, event.id DESC
            LIMIT $5
            """)
    }
}
