import Postgres

/// A token bucket of the `rate_limits` table, which all workers share. It refills continuously.
public struct RateLimit: Hashable, Sendable {
    /// What is limited: `sign_in/<account>/<network>`.
    public let key: String
    /// How many fit into the bucket, and come back in an hour. 0: the bucket is always empty.
    public let perHour: Int

    public init(key: String, perHour: Int) {
        self.key = key
        self.perHour = perHour
    }
}

public enum RateLimitStore {
    public enum Taking: Equatable, Sendable {
        case granted
        case refused(retryAfter: Duration)
    }

    /// Takes one token of each bucket, or none of any when one of them is empty.
    ///
    /// Every caller names the buckets it shares with others in the same order, so that they cannot deadlock.
    public static func take(_ limits: [RateLimit], in database: PostgresClient) async throws -> Taking {
        guard limits.allSatisfy({ $0.perHour > 0 }) else { return .refused(retryAfter: .seconds(3600)) }
        let results = try await database.write(limits.map { take($0.key, Double($0.perHour)) })
        var granted: [RateLimit] = []
        var wait: Duration = .zero
        for (limit, result) in zip(limits, results) {
            guard let row = result.first, try !row.decode(0, as: Bool.self) else {
                granted.append(limit)
                continue
            }
            // No row to compute from: another worker made the bucket, and emptied it, after our statement had begun.
            let seconds = try row.decode(1, as: Double?.self) ?? 3600 / Double(limit.perHour)
            wait = max(wait, .seconds(seconds))
        }
        guard wait > .zero else { return .granted }
        if !granted.isEmpty { _ = try await database.write(granted.map(returning)) }
        return .refused(retryAfter: wait)
    }

    /// Puts a token back that turned out not to be used.
    public static func returning(_ limit: RateLimit) -> BoundStatement {
        giveBack(limit.key, Double(limit.perHour))
    }

    /// Fills the bucket.
    public static func clearing(_ limit: RateLimit) -> BoundStatement {
        clear(limit.key)
    }

    /// A row that is not there is a full bucket. `$2`: its size, and what comes back per hour.
    private static let take = Statement(
        "rate_limits.take",
        """
        WITH taken AS (
            INSERT INTO rate_limits AS bucket (key, tokens, updated_at)
            VALUES ($1, $2::float8 - 1, clock_timestamp())
            ON CONFLICT (key) DO UPDATE
            SET tokens = LEAST($2, bucket.tokens + $2 * \(hours(since: "bucket.updated_at"))) - 1,
                updated_at = clock_timestamp()
            WHERE bucket.tokens + $2 * \(hours(since: "bucket.updated_at")) >= 1
            RETURNING key
        )
        SELECT
            EXISTS (SELECT FROM taken),
            (
                SELECT GREATEST(1, ceil(3600 * ((1 - tokens) / $2 - \(hours(since: "updated_at")))))
                FROM rate_limits
                WHERE key = $1
            )
        """)

    /// Not less than none, should the clock have been set back.
    private static func hours(since column: String) -> String {
        "GREATEST(0, date_part('epoch', clock_timestamp() - \(column)) / 3600)"
    }

    private static let giveBack = Statement(
        "rate_limits.give_back",
        """
        UPDATE rate_limits
        SET tokens = LEAST($2, tokens + 1)
        WHERE key = $1
        """)

    private static let clear = Statement(
        "rate_limits.clear",
        """
        DELETE FROM rate_limits
        WHERE key = $1
        """)
}
