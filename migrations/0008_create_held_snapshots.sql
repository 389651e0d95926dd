-- Snapshots that a worker keeps open for consistent reads over HTTP, so that any worker can answer at their timestamp.
-- Unlogged: after a crash no snapshot is open any more. Locks nothing that exists.

CREATE UNLOGGED TABLE held_snapshots (
    -- The timestamp that clients are given: a position in the log.
    position    bigint      NOT NULL,
    -- What SET TRANSACTION SNAPSHOT takes.
    snapshot_id text        NOT NULL,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT held_snapshots_pkey PRIMARY KEY (position)
);
