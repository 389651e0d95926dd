import Domain
import Postgres

/// What a process's clients called within some seconds: rows of `function_calls` and `session_activity`.
public struct UsageReport: Equatable, Sendable {
    /// Who reports: another id for each start of a process.
    public let worker: UUIDBits
    /// Counts the worker's reports.
    public let number: Int
    /// When the last of it was noted.
    public let recordedAt: Instant
    public let calls: [FunctionCalls]
    public let activity: [SessionActivity]

    public init(worker: UUIDBits, number: Int, recordedAt: Instant, calls: [FunctionCalls], activity: [SessionActivity]) {
        self.worker = worker
        self.number = number
        self.recordedAt = recordedAt
        self.calls = calls
        self.activity = activity
    }
}

/// The calls of one function.
public struct FunctionCalls: Equatable, Sendable {
    /// `messages:list`
    public let function: String
    public let calls: Int
    /// Those that ended in an error of ours.
    public let failedCalls: Int
    /// All response times together.
    public let microseconds: Int
    /// So many calls (`count`) took so many microseconds; ascending.
    public let distribution: [(duration: Int, count: Int)]

    public init(
        function: String, calls: Int, failedCalls: Int, microseconds: Int, distribution: [(duration: Int, count: Int)]
    ) {
        self.function = function
        self.calls = calls
        self.failedCalls = failedCalls
        self.microseconds = microseconds
        self.distribution = distribution
    }

    public static func == (left: FunctionCalls, right: FunctionCalls) -> Bool {
        left.function == right.function && left.calls == right.calls && left.failedCalls == right.failedCalls
            && left.microseconds == right.microseconds && left.distribution.elementsEqual(right.distribution, by: ==)
    }
}

/// When the calls of one sign-in came.
public struct SessionActivity: Equatable, Sendable {
    public let session: SessionID
    public let user: UserID
    public let first: Instant
    public let last: Instant

    public init(session: SessionID, user: UserID, first: Instant, last: Instant) {
        self.session = session
        self.user = user
        self.first = first
        self.last = last
    }
}

/// The raw facts of which `attune-metrics` makes its numbers.
public enum UsageStore {
    /// Statements for one transaction. A report that is stored already stays as it is: one whose fate is unknown is stored again.
    ///
    /// A moment that is still to come, by the database's clock, becomes the present one.
    public static func storing(_ report: UsageReport) -> [BoundStatement] {
        var statements: [BoundStatement] = []
        if !report.calls.isEmpty { statements.append(storingCalls(of: report)) }
        if !report.activity.isEmpty { statements.append(storingActivity(of: report)) }
        return statements
    }

    /// - Parameters:
    ///   - load: the load average over one minute, divided by the number of processors.
    public static func storingLoad(_ load: Double, processors: Int, ofHost name: String) -> BoundStatement {
        upsertHost(name, load, processors)
    }

    private static func storingCalls(of report: UsageReport) -> BoundStatement {
        // PostgreSQL's arrays of arrays are rectangles, so all distributions lie in one array, and each function knows its part.
        let distributions = report.calls.flatMap(\.distribution)
        var ends: [Int] = []
        for calls in report.calls { ends.append((ends.last ?? 0) + calls.distribution.count) }
        return insertCalls(
            report.worker, report.number, report.recordedAt,
            PostgresArray(report.calls.map(\.function)), PostgresArray(report.calls.map(\.calls)),
            PostgresArray(report.calls.map(\.failedCalls)), PostgresArray(report.calls.map(\.microseconds)),
            PostgresArray([0] + ends.dropLast()), PostgresArray(ends),
            PostgresArray(distributions.map(\.duration)), PostgresArray(distributions.map(\.count)))
    }

    private static func storingActivity(of report: UsageReport) -> BoundStatement {
        insertActivity(
            report.worker, report.number,
            PostgresArray(report.activity.map(\.session)), PostgresArray(report.activity.map(\.user)),
            PostgresArray(report.activity.map(\.first)), PostgresArray(report.activity.map(\.last)))
    }

    private static let insertCalls = Statement(
        "function_calls.insert",
        """
        INSERT INTO function_calls
            (worker_id, report, function, recorded_at, calls, failed_calls, microseconds, durations, counts)
        SELECT $1, $2, function, LEAST($3, now()), calls, failed_calls, microseconds,
            ($10::bigint[])[first_bucket::int + 1:last_bucket::int], ($11::bigint[])[first_bucket::int + 1:last_bucket::int]
        FROM unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
            AS reported (function, calls, failed_calls, microseconds, first_bucket, last_bucket)
        ON CONFLICT DO NOTHING
        """)

    private static let insertActivity = Statement(
        "session_activity.insert",
        """
        INSERT INTO session_activity (worker_id, report, session_id, user_id, first_at, last_at)
        SELECT $1, $2, session_id, user_id, LEAST(first_at, now()), LEAST(last_at, now())
        FROM unnest($3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[])
            AS reported (session_id, user_id, first_at, last_at)
        ON CONFLICT DO NOTHING
        """)

    private static let upsertHost = Statement(
        "hosts.upsert",
        """
        INSERT INTO hosts (name, load, processors)
        VALUES ($1, $2, $3::bigint)
        ON CONFLICT (name) DO UPDATE
        SET load = excluded.load, processors = excluded.processors, reported_at = excluded.reported_at
        """)
}
