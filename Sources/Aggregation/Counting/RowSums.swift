import Postgres

/// How many messages were sent and accounts made in each minute, hour and day.
enum RowSums {
    /// Adds the portion's messages. Gives how many.
    static func addMessages(_ portion: Portion) -> BoundStatement {
        messages(portion.first, portion.end, portion.running, portion.ended)
    }

    /// Adds the portion's accounts. Gives how many.
    static func addUsers(_ portion: Portion) -> BoundStatement {
        users(portion.first, portion.end, portion.running, portion.ended)
    }

    private static let messages = statement("messages", column: "messages")
    private static let users = statement("users", column: "new_users")

    private static func statement(_ table: String, column: String) -> Statement {
        Statement(
            "aggregation.add_\(table)",
            """
            WITH minutes AS MATERIALIZED (
                SELECT date_bin('1 minute', created_at, \(Calendar.origin)) AS minute, count(*) AS rows
                FROM (
                    \(Portion.rows("created_at", of: table))
                ) AS portion
                GROUP BY 1
            ), added AS (
                INSERT INTO rollups (unit, starts_at, \(column))
                SELECT buckets.unit, buckets.starts_at, sum(minutes.rows)
                FROM minutes
                CROSS JOIN LATERAL rollup_buckets(minutes.minute) AS buckets
                GROUP BY 1, 2
                ON CONFLICT ON CONSTRAINT rollups_pkey DO UPDATE SET \(column) = rollups.\(column) + excluded.\(column)
            )
            SELECT coalesce(sum(rows), 0)::bigint FROM minutes
            """)
    }
}
