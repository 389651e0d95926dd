-- What the ingestor needs to store each security event once, what statistics are read from without counting the table, and how
-- months get their partitions.
-- Rewrites security_events, which nothing has written to before.

-- The transaction that stored the row. It tells what is new since a snapshot: the rows of transactions that the snapshot does not
-- see. So it is left to its default, or those who have taken such a snapshot miss the row.
ALTER TABLE security_events ADD COLUMN stored_by xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX security_events_stored_by_idx ON security_events (stored_by);

-- With the severity in the middle every filter is one range of an index; a type alone is four. Lists read them backwards. The
-- type's is made last: of indexes that seem equal, as all do while a partition is empty, the planner takes the youngest.
DROP INDEX security_events_type_idx, security_events_severity_idx;
CREATE INDEX security_events_severity_idx ON security_events (severity, occurred_at, id);
CREATE INDEX security_events_type_idx ON security_events (type, severity, occurred_at, id);

-- Which reports have been stored: an event is named by its source and its id among those of the source.
CREATE TABLE security_event_keys (
    -- The first 128 bits of SHA-256 over both.
    key       uuid        NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT security_event_keys_pkey PRIMARY KEY (key)
);
CREATE INDEX security_event_keys_stored_at_idx ON security_event_keys USING brin (stored_at) WITH (autosummarize = on);

-- How far each spool has been taken in. Written in the transaction that stores the events.
CREATE TABLE ingest_spools (
    id         uuid        NOT NULL,
    -- Where it is: host and folder.
    place      text        NOT NULL,
    -- So many of its records have been taken in.
    position   bigint      NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ingest_spools_pkey PRIMARY KEY (id)
);

-- What became of all that a spool's inputs have received.
CREATE TABLE ingest_ledger (
    spool_id      uuid   NOT NULL,
    -- http, tcp, unix, syslog_udp, syslog_tcp, file, import, api
    input         text   NOT NULL,
    received      bigint NOT NULL DEFAULT 0,
    stored        bigint NOT NULL DEFAULT 0,
    duplicates    bigint NOT NULL DEFAULT 0,
    dead_lettered bigint NOT NULL DEFAULT 0,
    spooled       bigint NOT NULL DEFAULT 0,
    CONSTRAINT ingest_ledger_pkey PRIMARY KEY (spool_id, input),
    CONSTRAINT ingest_ledger_spool_id_fkey FOREIGN KEY (spool_id) REFERENCES ingest_spools (id) ON DELETE CASCADE,
    CONSTRAINT ingest_ledger_adds_up CHECK (received = stored + duplicates + dead_lettered + spooled)
);

-- Which stored events have been counted: those whose `stored_by` the snapshot `seen` sees.
CREATE TABLE security_event_progress (
    id         boolean     NOT NULL DEFAULT true,
    seen       pg_snapshot NOT NULL,
    -- The transaction that wrote this row; see counted_security_events.
    written_by xid8        NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT security_event_progress_pkey PRIMARY KEY (id),
    CONSTRAINT security_event_progress_one_row CHECK (id)
);
INSERT INTO security_event_progress (seen) VALUES ('1:1:');

-- The snapshot of the events that have been counted; one that sees nothing, if its row was not written by the transaction that it
-- names. So it is in a database that was restored from a dump, where transactions have other numbers, and after somebody has
-- changed the row by hand: `UPDATE security_event_progress SET written_by = '0'` has all events counted anew.
CREATE FUNCTION counted_security_events() RETURNS pg_snapshot LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN progress.xmin::text::bigint = progress.written_by::text::bigint & 4294967295 THEN progress.seen
        ELSE '1:1:'
    END
    FROM security_event_progress AS progress
$$;

-- How many of the counted events are in each partition. The others are counted when asked for. Kept by partition, so that one which
-- is dropped or detached takes its counts with it.
CREATE TABLE security_event_totals (
    partition regclass NOT NULL,
    type      text     NOT NULL,
    severity  text     NOT NULL,
    events    bigint   NOT NULL,
    CONSTRAINT security_event_totals_pkey PRIMARY KEY (partition, type, severity)
);

-- The same by hour, for the last days only.
CREATE TABLE security_event_hours (
    partition regclass    NOT NULL,
    hour      timestamptz NOT NULL,
    events    bigint      NOT NULL,
    CONSTRAINT security_event_hours_pkey PRIMARY KEY (partition, hour)
);

-- Counts the stored events that `seen` does not see and `until`, if it is not null, does.
--
-- Those are the rows of transactions that began after `seen` was taken, and of those that were running then: ranges of the index on
-- stored_by. The cost is that of the rows that it counts, also while a transaction runs for hours. The planner, which knows neither
-- snapshot, would expect millions of rows and read the table, or compile the plan.
CREATE FUNCTION count_security_events(seen pg_snapshot, until pg_snapshot)
RETURNS TABLE (partition regclass, hour timestamptz, type text, severity text, events bigint)
LANGUAGE plpgsql STABLE ROWS 1000 SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT tail.tableoid::regclass, date_trunc('hour', tail.occurred_at, 'UTC'), tail.type, tail.severity, count(*)
        FROM (
            SELECT tableoid, occurred_at, type, severity, stored_by
            FROM security_events
            WHERE stored_by >= pg_snapshot_xmax(count_security_events.seen)
              AND stored_by < coalesce(pg_snapshot_xmax(count_security_events.until), '18446744073709551615')
            UNION ALL
            SELECT tableoid, occurred_at, type, severity, stored_by
            FROM security_events
            WHERE stored_by = ANY (ARRAY(SELECT pg_snapshot_xip(count_security_events.seen)))
        ) AS tail
        WHERE count_security_events.until IS NULL OR pg_visible_in_snapshot(tail.stored_by, count_security_events.until)
        GROUP BY 1, 2, 3, 4;
END;
$$;

-- Whether there are stored events that `seen` does not see.
CREATE FUNCTION has_new_security_events(seen pg_snapshot) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
BEGIN
    RETURN coalesce(
        (SELECT stored_by >= pg_snapshot_xmax(seen) FROM security_events ORDER BY stored_by DESC LIMIT 1), false)
        OR EXISTS (SELECT FROM security_events WHERE stored_by = ANY (ARRAY(SELECT pg_snapshot_xip(seen))));
END;
$$;

-- Up to where someone who has seen `seen` should go next, to meet `size` rows and the rest of the transaction that comes to that
-- number: an earlier snapshot than the statement's own, or that, if there are fewer.
CREATE FUNCTION next_security_events(seen pg_snapshot, size bigint) RETURNS pg_snapshot
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
DECLARE
    present pg_snapshot := pg_current_snapshot();
    last    xid8;
BEGIN
    SELECT security_events.stored_by
    INTO last
    FROM security_events
    WHERE security_events.stored_by >= pg_snapshot_xmax(seen) AND security_events.stored_by < pg_snapshot_xmax(present)
    ORDER BY security_events.stored_by
    OFFSET size
    LIMIT 1;
    IF last IS NULL THEN
        RETURN present;
    END IF;
    -- What the present snapshot was, had nothing begun after `last`.
    RETURN least(pg_snapshot_xmin(present)::text::bigint, last::text::bigint + 1) || ':' || last::text::bigint + 1 || ':'
        || coalesce(
            (SELECT string_agg(running::text, ',' ORDER BY running) FROM pg_snapshot_xip(present) AS running WHERE running <= last),
            '');
END;
$$;

-- The partitions, and from when (inclusive) until when (exclusive) the events in them occurred; NULL for the default partition.
CREATE VIEW security_event_partitions AS
    SELECT pg_inherits.inhrelid::regclass AS partition,
        (regexp_match(bounds.text, 'FROM \(''?([^'')]+)'))[1]::timestamptz AS starts_at,
        (regexp_match(bounds.text, 'TO \(''?([^'')]+)'))[1]::timestamptz AS ends_at
    FROM pg_inherits
    JOIN pg_class ON pg_class.oid = pg_inherits.inhrelid
    CROSS JOIN LATERAL (
        SELECT replace(replace(pg_get_expr(pg_class.relpartbound, pg_class.oid), 'MINVALUE', '-infinity'), 'MAXVALUE', 'infinity')
    ) AS bounds (text)
    WHERE pg_inherits.inhparent = 'security_events'::regclass;

-- Wakes live queries once per statement, not once per row. No transition table: with one, COPY would insert row by row.
CREATE FUNCTION security_events_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_logical_emit_message(true, 'attune.topics', 'security_events');
    RETURN NULL;
END;
$$;

-- Takes deleted rows that have been counted out of the counts, and counts the new form of updated ones. Whoever counts holds the
-- same lock, so a row is either counted before or not at all.
CREATE FUNCTION security_events_recount() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    counted pg_snapshot;
    source  text;
BEGIN
    IF NOT EXISTS (SELECT FROM old_rows) THEN
        RETURN NULL;
    END IF;
    PERFORM FROM security_event_progress FOR UPDATE;
    counted := counted_security_events();
    source := 'SELECT occurred_at, type, severity, -1 AS change FROM old_rows WHERE pg_visible_in_snapshot(stored_by, $1)';
    IF TG_OP = 'UPDATE' THEN
        source := source || ' UNION ALL '
            || 'SELECT occurred_at, type, severity, 1 FROM new_rows WHERE pg_visible_in_snapshot(stored_by, $1)';
    END IF;
    -- Rows that were found through the parent do not say where they were; what no other partition covers is in the default one.
    EXECUTE format(
        $query$
        WITH changed AS (
            SELECT coalesce(%1$s, (SELECT partition FROM security_event_partitions WHERE starts_at IS NULL)) AS partition,
                date_trunc('hour', changed.occurred_at, 'UTC') AS hour, changed.type, changed.severity,
                sum(changed.change) AS change
            FROM (%2$s) AS changed %3$s
            GROUP BY 1, 2, 3, 4
        ), by_hour AS (
            INSERT INTO security_event_hours AS hours (partition, hour, events)
            SELECT partition, hour, sum(change)
            FROM changed
            GROUP BY 1, 2
            ON CONFLICT ON CONSTRAINT security_event_hours_pkey DO UPDATE SET events = hours.events + excluded.events
        )
        INSERT INTO security_event_totals AS totals (partition, type, severity, events)
        SELECT partition, type, severity, sum(change)
        FROM changed
        GROUP BY 1, 2, 3
        ON CONFLICT ON CONSTRAINT security_event_totals_pkey DO UPDATE SET events = totals.events + excluded.events
        $query$,
        CASE WHEN TG_RELID = 'security_events'::regclass THEN 'known.partition' ELSE TG_RELID || '::regclass' END,
        source,
        CASE WHEN TG_RELID = 'security_events'::regclass THEN
            'LEFT JOIN security_event_partitions AS known
                ON changed.occurred_at >= known.starts_at AND changed.occurred_at < known.ends_at'
        END)
    USING counted;
    RETURN NULL;
END;
$$;

CREATE FUNCTION security_events_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM security_event_progress FOR UPDATE;
    DELETE FROM security_event_totals WHERE partition = TG_RELID::regclass;
    DELETE FROM security_event_hours WHERE partition = TG_RELID::regclass;
    RETURN NULL;
END;
$$;

-- Gives the triggers to the table and to each partition: a statement fires those of the table that it names, and only TRUNCATE
-- fires those of the partitions too.
CREATE FUNCTION watch_security_events(watched regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER security_events_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION security_events_changed()', watched);
    EXECUTE format(
        'CREATE TRIGGER security_events_deleted AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
            FOR EACH STATEMENT EXECUTE FUNCTION security_events_recount()', watched);
    EXECUTE format(
        'CREATE TRIGGER security_events_updated AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION security_events_recount()', watched);
    EXECUTE format(
        'CREATE TRIGGER security_events_truncated AFTER TRUNCATE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION security_events_truncated()', watched);
END;
$$;

SELECT watch_security_events('security_events'), watch_security_events('security_events_other');

-- Makes the partition of the month (UTC) that `moment` is in, unless there is one for it; moves the events there that the default
-- partition holds. They count as stored anew. Says whether it has made one.
--
-- Keeps writers away, and at the end, for a moment, readers too.
CREATE FUNCTION make_security_events_partition(moment timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    month       timestamptz := date_trunc('month', moment, 'UTC');
    month_after timestamptz := (date_trunc('month', moment, 'UTC') AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
    name        text := 'security_events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    -- Who inserts has chosen a partition before waiting for its lock, and fails if the choice is wrong by then. So they wait
    -- before that.
    LOCK TABLE ONLY security_events IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE ONLY security_events_other IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM security_event_partitions WHERE starts_at < month_after AND ends_at > month) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE security_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format(
        'WITH moved AS (
            DELETE FROM security_events_other WHERE occurred_at >= %2$L AND occurred_at < %3$L
            RETURNING id, occurred_at, type, severity, user_id, ip, metadata
        )
        INSERT INTO %1$I (id, occurred_at, type, severity, user_id, ip, metadata)
        SELECT id, occurred_at, type, severity, user_id, ip, metadata FROM moved',
        name, month, month_after);
    -- Spares ATTACH from looking through the rows.
    EXECUTE format(
        'ALTER TABLE %I ADD CONSTRAINT security_events_month CHECK (occurred_at >= %L AND occurred_at < %L)',
        name, month, month_after);
    -- Likewise who reads: waiting for the default partition, it would miss the rows that have moved.
    LOCK TABLE ONLY security_events IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('ALTER TABLE security_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, month, month_after);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT security_events_month', name);
    PERFORM watch_security_events(name::regclass);
    RETURN true;
END;
$$;
