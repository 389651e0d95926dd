import Domain
import Logging
import Postgres

/// Reads the database's commits from the write-ahead log, in its order, through a persistent slot with the plugin
/// `test_decoding`.
///
/// Nothing is lost or taken twice when the server crashes: changes are looked at first, and the slot moves on only when they have
/// been taken in; what comes again is skipped by its position.
actor CommitLog {
    private static let slot = "attune_checker"
    /// How many row changes are read at once, at least.
    private static let batch = 2000

    private let client: PostgresClient
    private var lastCommit = LogPosition.zero

    init(connectionString: String, logger: Logger) {
        // Its own commits do not wait for standbys, so that it can go on while others are held.
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(
                connectionString: connectionString + " options='-c timezone=UTC -c synchronous_commit=local'",
                applicationName: "checker oracle"))
        configuration.readers = 1
        configuration.writers = 1
        client = PostgresClient(configuration, logger: logger)
    }

    /// Makes the slot. What is committed from now on is read.
    func begin() async throws {
        _ = try await client.write(Self.create(Self.slot))
    }

    struct Batch: Sendable {
        /// In commit order, with each commit's position.
        let commits: [(position: LogPosition, changes: [String])]
        /// Every commit up to here has been read.
        let covered: LogPosition
        /// More is there already.
        let hasMore: Bool
    }

    /// What was committed since the last call. Throws while the database is away.
    func read() async throws -> Batch {
        let row = try await client.write(Self.flushed())[0]
        guard let flushed = LogPosition(try row.decode(0, as: String.self)) else { throw ChangeText.Malformed(description: "no position") }
        var commits: [(LogPosition, [String])] = []
        var changes: [String] = []
        let rows = try await client.write(Self.peek(Self.slot, Self.batch))
        for row in rows {
            let line: String = try row.decode(1)
            switch line {
            case "BEGIN": changes = []
            case "COMMIT":
                guard let position = LogPosition(try row.decode(0, as: String.self)) else {
                    throw ChangeText.Malformed(description: "no position")
                }
                guard position > lastCommit else { continue }
                commits.append((position, changes))
                lastCommit = position
            default: changes.append(line)
            }
        }
        let hasMore = rows.count >= Self.batch
        // The slot may be behind after a crash; that only means to skip more.
        if lastCommit > .zero, !rows.isEmpty { _ = try? await client.write(Self.advance(Self.slot, lastCommit.description)) }
        return Batch(commits: commits, covered: hasMore ? lastCommit : max(flushed, lastCommit), hasMore: hasMore)
    }

    /// Makes a small commit, which moves the end of the flushed log along.
    func nudge() async {
        _ = try? await client.write(Self.emit())
    }

    func close() async {
        await client.close()
    }

    private static let create = Statement(
        "oracle.create_slot", "SELECT pg_create_logical_replication_slot($1, 'test_decoding')::text")
    private static let flushed = Statement("oracle.flushed", "SELECT pg_current_wal_flush_lsn()::text")
    private static let peek = Statement(
        "oracle.peek",
        """
        SELECT lsn::text, data
        FROM pg_logical_slot_peek_changes($1, NULL, $2::bigint::int, 'include-xids', '0', 'skip-empty-xacts', '1')
        """)
    private static let advance = Statement("oracle.advance", "SELECT pg_replication_slot_advance($1, $2::text::pg_lsn)::text")
    private static let emit = Statement("oracle.nudge", "SELECT pg_logical_emit_message(true, 'checker.nudge', '')::text")
}
