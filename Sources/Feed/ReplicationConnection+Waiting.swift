import Postgres

extension ReplicationConnection {
    /// Waits until all transactions that have written to the log so far are over, so that snapshots taken from then on see
    /// those that were committed.
    ///
    /// Whoever has written has an id, and ids are given in order. So a new id, ours, is above all of them. When no transaction
    /// below it runs any more, in the eyes of a snapshot, snapshots see all of them that were committed. (The end of the current
    /// snapshot would not do as such a bound: it is behind the last id that is over, not the last that was given.)
    ///
    /// - Parameter check: called between two looks; what it throws ends the waiting.
    func waitForTransactionsSoFar(_ check: () throws -> Void = {}) async throws {
        let answer = try await run("SELECT pg_current_xact_id()", name: "replication.next").first?[0]
        guard let next = answer.flatMap({ UInt64($0) }) else { throw CommitDecoder.Malformed() }
        var delay = Duration.milliseconds(1)
        while try await run(
            "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= '\(next)'::xid8", name: "replication.are_over"
        ).first?[0] != "t" {
            try check()
            try await Task.sleep(for: delay)
            delay = min(delay * 2, .milliseconds(50))
        }
    }
}
