-- What the ingestor needs to store each security event once, and what statistics are read from without counting the table.
-- Rewrites security_events, which nothing has written to before.

-- The transaction that stored the row. It orders rows by arrival: those of transactions below the oldest one that still runs
-- are all visible, so whoever has seen them need not look at them again.
ALTER TABLE security_events ADD COLUMN stored_by bigint NOT NULL DEFAULT txid_current();
CREATE INDEX security_events_stored_by_idx ON security_events (stored_by);

-- Which reports have been stored: an event is named by its source and its id among those of the source.
CREATE TABLE security_event_keys (
    -- The first 128 bits of SHA-256 over both.
    key       uuid        NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT security_event_keys_pkey PRIMARY KEY (key)
);
CREATE INDEX security_event_keys_stored_at_idx ON security_event_keys USING brin (stored_at);

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

-- Counts of all events that were stored by transactions below `counted_before`. The others are few, and are counted when asked.
CREATE TABLE security_event_progress (
    id             boolean NOT NULL DEFAULT true,
    counted_before bigint  NOT NULL DEFAULT 0,
    CONSTRAINT security_event_progress_pkey PRIMARY KEY (id),
    CONSTRAINT security_event_progress_one_row CHECK (id)
);
INSERT INTO security_event_progress DEFAULT VALUES;

CREATE TABLE security_event_totals (
    type     text   NOT NULL,
    severity text   NOT NULL,
    events   bigint NOT NULL,
    CONSTRAINT security_event_totals_pkey PRIMARY KEY (type, severity)
);

-- For the last days only.
CREATE TABLE security_event_hours (
    hour   timestamptz NOT NULL,
    events bigint      NOT NULL,
    CONSTRAINT security_event_hours_pkey PRIMARY KEY (hour)
);

-- Wakes live queries once per statement, not once per row. No transition table: with one, COPY would insert row by row.
CREATE FUNCTION security_events_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_logical_emit_message(true, 'attune.topics', 'security_events');
    RETURN NULL;
END;
$$;

CREATE TRIGGER security_events_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON security_events
    FOR EACH STATEMENT EXECUTE FUNCTION security_events_changed();
