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

    // A statement for each combination, since a plan is made once for all values: with `$1 IS NULL OR type = $1` it could not use
    // an index. Each reads one range of an index in each partition, from its end, and stops after as many rows as are asked for.

    private static let all = statement("all", by: [[]])
    private static let ofSeverity = statement("of_severity", by: [[("severity", "$6")]])
    private static let ofType = statement("of_type", by: Severity.allCases.map { [("type", "$6"), ("severity", "'\($0.rawValue)'")] })
    private static let ofTypeAndSeverity = statement("of_type_and_severity", by: [[("type", "$6"), ("severity", "$7")]])

    /// Parameters: exclusive upper bound (time and id), inclusive lower bound, limit, then those of `ranges`.
    ///
    /// - Parameter ranges: for each range of an index, the columns in front of time and id, and their values.
    private static func statement(_ name: String, by ranges: [[(column: String, value: String)]]) -> Statement {
        let parts = ranges.map { range in
            let columns = range.map(\.column) + ["occurred_at", "id"]
            let values = range.map { "\($0.value)::text, " }.joined()
            let order = columns.map { $0 + " DESC" }.joined(separator: ", ")
            // Compared and ordered by all of its columns, a range fits one index alone, so the planner does not have to guess which
            // one is best. The inner limit is more than anybody asks for: it says that few rows will be wanted, as a parameter
            // does not.
            return """
                (
                    SELECT *
                    FROM (
                        SELECT *
                        FROM security_events
                        WHERE (\(columns.joined(separator: ", "))) < (\(values)$1, $2)
                          AND (\(columns.joined(separator: ", "))) >= (\(values)$3, $4)
                        ORDER BY \(order)
                        LIMIT 5000
                    ) AS range
                    ORDER BY \(order)
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
