import Domain
import Logging
import Postgres
import Store

/// Makes partitions ahead, moves events out of the default one, and deletes what is too old.
struct PartitionUpkeep {
    let retentionDays: Int
    let logger: Logger

    /// How many months ahead have their partition.
    static let monthsAhead = 3
    /// How many rows one transaction deletes.
    static let portionSize = 5_000
    /// How long to wait for readers and writers, which meanwhile wait behind us.
    private static let lockTimeout = "1s"
    /// How long a report's key is remembered. Whoever sends one again later than that stores it twice.
    private static let keyDays = 30

    /// Makes the partitions of this month and of the next ones, and drops those of months that are too old as a whole. Gives
    /// whether all is as it should be.
    func keepMonths(in database: PostgresClient) async throws -> Bool {
        var failure: (any Error)?
        var isDone = true
        for row in try await database.read(Self.missing(Self.monthsAhead)) {
            // What is in the way of one is not in the way of the next.
            do {
                isDone = try await makePartition(of: try row.decode(0), in: database) && isDone
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        for row in try await database.read(Self.expiredPartitions(retentionDays)) {
            let name: String = try row.decode(0)
            let isDropped = try await withLocks(database) { transaction in
                // Names come from the catalogue, quoted.
                try await transaction.runScript("DROP TABLE \(name)", name: "watch.drop_partition")
                _ = try await transaction.execute([Self.forgetTotals(), Self.forgetHours(), Announcement.statement()])
                return true
            }
            if isDropped == true {
                logger.notice("dropped a month of security events", metadata: ["partition": "\(name)"])
            } else {
                isDone = false
            }
        }
        return isDone
    }

    /// Makes the partition of a month, and moves the events there that have come for it.
    ///
    /// Gives whether it has: another process may be at it, or there are partitions of other lengths.
    func makePartition(of moment: Instant, in database: PostgresClient) async throws -> Bool {
        let isNew = try await withLocks(database) { transaction in
            try await transaction.execute(Self.make(moment)).first?.decode(0, as: Bool.self) ?? false
        }
        return isNew ?? false
    }

    private func withLocks<Value>(_ database: PostgresClient, _ body: (Transaction) async throws -> Value) async throws -> Value? {
        try await database.asLeader { transaction in
            _ = try await transaction.execute(Self.setLockTimeout(Self.lockTimeout))
            return try await body(transaction)
        }
    }

    /// Deletes the oldest events, if they are too old. Gives how many, at most a portion.
    func deleteExpired(in database: PostgresClient) async throws -> Int {
        try await database.asLeader { try await $0.execute(Self.expire(retentionDays, Self.portionSize)).affectedRows } ?? 0
    }

    /// Deletes keys of reports, and counts by hour, that nobody asks for any more. Gives how many keys, at most a portion.
    func deleteKeys(in database: PostgresClient) async throws -> Int {
        try await database.asLeader { transaction in
            // There is no index that is ordered by time: without this, the planner could read the table to find nothing.
            _ = try await transaction.execute(Self.avoidReadingTables())
            _ = try await transaction.execute(Self.deleteHours())
            return try await transaction.execute(Self.expireKeys(Self.keyDays, Self.portionSize)).affectedRows
        } ?? 0
    }

    private static let setLockTimeout = Statement("watch.lock_timeout", "SELECT set_config('lock_timeout', $1, true)")
    private static let avoidReadingTables = Statement(
        "watch.avoid_reading_tables", "SELECT set_config('enable_seqscan', 'off', true)")

    private static let missing = Statement(
        "watch.missing_partitions",
        """
        SELECT month
        FROM generate_series(0, $1) AS number
        CROSS JOIN LATERAL (
            SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + number * interval '1 month') AT TIME ZONE 'UTC'
        ) AS months (month)
        WHERE NOT EXISTS (SELECT FROM security_event_partitions WHERE starts_at <= month AND ends_at > month)
        """)

    private static let make = Statement("watch.make_partition", "SELECT make_security_events_partition($1)")

    private static let expiredPartitions = Statement(
        "watch.expired_partitions",
        "SELECT partition::text FROM security_event_partitions WHERE ends_at <= now() - $1 * interval '1 day'")

    private static let expire = Statement(
        "watch.expire",
        """
        DELETE FROM security_events
        WHERE (occurred_at, id) IN (
            SELECT occurred_at, id
            FROM security_events
            WHERE occurred_at < now() - $1 * interval '1 day'
            ORDER BY occurred_at, id
            LIMIT $2)
        """)

    private static let expireKeys = Statement(
        "watch.expire_keys",
        """
        DELETE FROM security_event_keys
        WHERE key IN (
            SELECT key
            FROM security_event_keys
            WHERE stored_at < now() - $1 * interval '1 day'
            LIMIT $2)
        """)

    private static let deleteHours = Statement(
        "watch.delete_hours", "DELETE FROM security_event_hours WHERE hour < now() - interval '2 days'")

    // Of partitions that are gone; one that is only detached may come back.
    private static let forgetTotals = Statement(
        "watch.forget_partitions",
        "DELETE FROM security_event_totals WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = partition)")
    private static let forgetHours = Statement(
        "watch.forget_partition_hours",
        "DELETE FROM security_event_hours WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = partition)")
}

/// Has live queries on security events run again, because of what is not in the table: time has passed, or a month is gone.
enum Announcement {
    static let statement = Statement("watch.announce", "SELECT pg_logical_emit_message(true, 'attune.topics', 'security_events')")
}
