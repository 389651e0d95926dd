-- Which transaction stored an account.
-- Takes ACCESS EXCLUSIVE on users for a moment; gives up rather than keep others waiting behind it, and can be run again.

SET LOCAL lock_timeout = '5s';

ALTER TABLE users ADD COLUMN stored_by bigint NOT NULL DEFAULT 3;
ALTER TABLE users ALTER COLUMN stored_by SET DEFAULT pg_current_xact_id()::text::bigint;
