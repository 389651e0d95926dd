-- Which transaction stored a message.
-- Takes ACCESS EXCLUSIVE on messages for a moment; gives up rather than keep others waiting behind it, and can be run again.

SET LOCAL lock_timeout = '5s';

-- As in security_events: it tells what is new since a snapshot. Rows from before have a number that every snapshot sees. A bigint,
-- since BRIN knows no xid8.
ALTER TABLE messages ADD COLUMN stored_by bigint NOT NULL DEFAULT 3;
ALTER TABLE messages ALTER COLUMN stored_by SET DEFAULT pg_current_xact_id()::text::bigint;
