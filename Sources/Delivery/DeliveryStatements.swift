import Domain
import Events
import Postgres
import Store

/// How a batch of events is stored.
enum DeliveryStatements {
    /// Two daemons that store the same events in two transactions each, one after the other, can wait for each other without
    /// PostgreSQL noticing, since a part of the circle is here. (SQLSTATE 55P03 when it ends a transaction.)
    private static let lockTimeout = "SET LOCAL lock_timeout = '3s'; "

    // MARK: The usual way: all events are new

    /// Stores the events of a batch. Fails with a unique violation if one of them is stored already.
    static func copy(_ batch: DeliveryBatch, in transaction: Transaction) async throws {
        // Keys first, since they are what tells duplicates. In order, so that nobody who stores the same ones waits for us while
        // we wait for him; and because in order they touch each page of their index once.
        let keys = batch.events.compactMap(\.key).sorted()
        if !keys.isEmpty {
            let sql = lockTimeout + "COPY security_event_keys (key) FROM STDIN (FORMAT binary)"
            _ = try await transaction.copyIn(sql, name: "delivery.copy_keys") { writer in
                try await write(keys, to: writer) { key, bytes in
                    BinaryCopy.appendFieldCount(1, to: &bytes)
                    BinaryCopy.appendField(key, to: &bytes)
                }
            }
        }
        if !batch.events.isEmpty {
            let sql = lockTimeout + "COPY security_events (\(EventRow.columns)) FROM STDIN (FORMAT binary)"
            _ = try await transaction.copyIn(sql, name: "delivery.copy_events") { writer in
                try await write(batch.events, to: writer) { event, bytes in
                    BinaryCopy.appendFieldCount(EventRow.columnCount, to: &bytes)
                    bytes.append(contentsOf: event.row)
                }
            }
        }
    }

    // MARK: With duplicates

    /// Stores those events of a batch that are not stored yet.
    ///
    /// - Returns: how many that were.
    static func merge(_ batch: DeliveryBatch, in transaction: Transaction) async throws -> PerInput<Int> {
        try await transaction.runScript(lockTimeout + createIncoming, name: "delivery.create_incoming")
        var keys: Set<UUIDBits> = []
        let events = batch.events.filter { $0.key.map { keys.insert($0).inserted } ?? true }
        let sql = "COPY pg_temp.attune_incoming (input, key, \(EventRow.columns)) FROM STDIN (FORMAT binary)"
        _ = try await transaction.copyIn(sql, name: "delivery.copy_incoming") { writer in
            try await write(events, to: writer) { event, bytes in
                BinaryCopy.appendFieldCount(EventRow.columnCount + 2, to: &bytes)
                bytes.appendBigEndian(Int32(2))
                bytes.appendBigEndian(Int16(event.input.rawValue))
                if let key = event.key { BinaryCopy.appendField(key, to: &bytes) } else { bytes.appendBigEndian(Int32(-1)) }
                bytes.append(contentsOf: event.row)
            }
        }
        var stored = PerInput(repeating: 0)
        for row in try await transaction.execute(mergeIncoming()) {
            let input: Int = try row.decode(0)
            stored[UInt8(exactly: input).flatMap(Input.init(rawValue:))] = try row.decode(1)
        }
        return stored
    }

    private static let createIncoming = """
        CREATE TEMP TABLE attune_incoming ON COMMIT DROP AS
        SELECT 0::smallint AS input, NULL::uuid AS key, \(EventRow.columns)
        FROM security_events
        WITH NO DATA
        """

    private static let mergeIncoming = Statement(
        "delivery.merge",
        """
        WITH new_keys AS (
            INSERT INTO security_event_keys (key)
            SELECT key
            FROM pg_temp.attune_incoming
            WHERE key IS NOT NULL
            ORDER BY key
            ON CONFLICT DO NOTHING
            RETURNING key
        ), new_events AS (
            INSERT INTO security_events (\(EventRow.columns))
            SELECT \(EventRow.columns)
            FROM pg_temp.attune_incoming
            WHERE key IS NULL OR key IN (SELECT key FROM new_keys)
            ON CONFLICT DO NOTHING
            RETURNING id
        )
        SELECT input, count(*)
        FROM pg_temp.attune_incoming
        WHERE id IN (SELECT id FROM new_events)
        GROUP BY input
        """)

    // MARK: Writing

    /// Large enough that the hops between threads do not matter, and small enough that the server works while the next piece is
    /// made.
    private static let pieceSize = 256 * 1024

    private static func write<Element>(
        _ elements: [Element], to writer: CopyWriter, row: (Element, inout [UInt8]) -> Void
    ) async throws {
        var piece = BinaryCopy.header
        for element in elements {
            row(element, &piece)
            guard piece.count >= pieceSize else { continue }
            try await writer.write(piece)
            piece.removeAll(keepingCapacity: true)
        }
        piece += BinaryCopy.trailer
        try await writer.write(piece)
    }

    // MARK: The position

    /// Parameters: spool, place, the position if the spool is new here. Gives the position.
    ///
    /// The row stays locked, so a transaction of ours whose end we have not heard of has ended when this returns.
    static let takeUp = Statement(
        "delivery.take_up",
        """
        INSERT INTO ingest_spools AS spool (id, place, position)
        VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET place = excluded.place
        RETURNING spool.position
        """)

    /// Parameter: spool. Gives input, stored, duplicates, dead-lettered.
    static let ledger = Statement(
        "delivery.ledger",
        """
        SELECT input, stored, duplicates, dead_lettered
        FROM ingest_ledger
        WHERE spool_id = $1
        """)

    /// Parameters: spool, position.
    static let setPosition = Statement(
        "delivery.set_position",
        """
        UPDATE ingest_spools
        SET position = $2, updated_at = now()
        WHERE id = $1
        """)

    /// Moves the position of a spool, and writes its ledger. Writes nothing if the position is another one than `positions` begins
    /// with.
    static func move(_ spool: UUIDBits, _ positions: Range<UInt64>, _ ledger: LedgerSnapshot) -> BoundStatement {
        func column(_ value: (LedgerCounts) -> Int) -> PostgresArray<Int64> {
            PostgresArray(ledger.lines.map { Int64(value($0.counts)) })
        }
        return move(
            spool, Int64(positions.lowerBound), Int64(positions.upperBound), PostgresArray(ledger.lines.map(\.input)),
            column(\.received), column(\.stored), column(\.duplicates), column(\.deadLettered), column(\.spooled))
    }

    static let move = Statement(
        "delivery.move",
        """
        WITH moved AS (
            UPDATE ingest_spools
            SET position = $3, updated_at = now()
            WHERE id = $1 AND position = $2
            RETURNING id
        )
        INSERT INTO ingest_ledger AS line (spool_id, input, received, stored, duplicates, dead_lettered, spooled)
        SELECT moved.id, counts.*
        FROM moved, unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) AS counts
        ON CONFLICT (spool_id, input) DO UPDATE SET
            received = excluded.received, stored = excluded.stored, duplicates = excluded.duplicates,
            dead_lettered = excluded.dead_lettered, spooled = excluded.spooled
        """)
}
