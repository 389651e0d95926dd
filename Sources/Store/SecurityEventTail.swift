/// Which rows of `security_events` were stored since a snapshot, in SQL.
public enum SecurityEventTail {
    /// A query that gives `columns` of the rows whose transactions `snapshot` does not see.
    ///
    /// Those are the transactions that began after it, and those that were running when it was taken: two look-ups in the index on
    /// `stored_by`, whose cost is that of the rows that they find, even if a transaction runs for hours.
    ///
    /// - Parameter snapshot: an SQL expression, of type `pg_snapshot`, that does not depend on a row.
    public static func since(_ snapshot: String, columns: String) -> String {
        // The upper bound is above everything. Of a range with two ends that it does not know the planner thinks that it is small,
        // of one with a single end that it is a third of the table.
        """
        SELECT \(columns)
        FROM security_events
        WHERE stored_by >= pg_snapshot_xmax(\(snapshot)) AND stored_by <= (SELECT '18446744073709551615'::xid8)
        UNION ALL
        SELECT \(columns)
        FROM security_events
        WHERE stored_by = ANY (ARRAY(SELECT pg_snapshot_xip(\(snapshot))))
        """
    }
}
