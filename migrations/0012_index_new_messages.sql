-- no-transaction
-- New messages lie together, so ranges of pages are found fast enough, and sending pays next to nothing for it.
-- Keeps nobody waiting.
CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_stored_by_idx
    ON messages USING brin (stored_by) WITH (pages_per_range = 32, autosummarize = on);
