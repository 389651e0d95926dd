import Postgres

/// What Attune needs of a PostgreSQL server, as the server has it; `attune doctor` compares.
public struct ServerFacts: Sendable {
    /// `150008` for 15.8.
    public let versionNumber: Int
    public let version: String
    /// `logical` for the change feed.
    public let walLevel: String
    public let replicationSlots: Int
    public let usedReplicationSlots: Int
    public let walSenders: Int
    public let usedWALSenders: Int
    /// Whether our role may read the change feed.
    public let mayReplicate: Bool
    /// Extensions that the migrations want, and that are not installed on the server's machine.
    public let missingExtensions: String
    /// `UTF8`, or texts do not keep what clients send.
    public let encoding: String

    public static func read(from database: some StatementExecutor) async throws -> ServerFacts {
        guard let row = try await database.execute(statement()).first else { preconditionFailure("a SELECT without FROM has a row") }
        return try ServerFacts(row: row)
    }

    private init(row: Row) throws(PostgresError) {
        versionNumber = try row.decode(0)
        version = try row.decode(1)
        walLevel = try row.decode(2)
        replicationSlots = try row.decode(3)
        usedReplicationSlots = try row.decode(4)
        walSenders = try row.decode(5)
        usedWALSenders = try row.decode(6)
        mayReplicate = try row.decode(7)
        missingExtensions = try row.decode(8)
        encoding = try row.decode(9)
    }

    private static let statement = Statement(
        "server.facts",
        """
        SELECT current_setting('server_version_num')::integer,
            current_setting('server_version'),
            current_setting('wal_level'),
            current_setting('max_replication_slots')::integer,
            (SELECT count(*) FROM pg_replication_slots),
            current_setting('max_wal_senders')::integer,
            (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'),
            (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user),
            (SELECT coalesce(string_agg(wanted, ', ' ORDER BY wanted), '')
                FROM unnest(ARRAY['pg_trgm', 'unaccent']) AS wanted
                WHERE NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = wanted)),
            current_setting('server_encoding')
        """)
}
