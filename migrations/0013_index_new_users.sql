-- What is counted of accounts: the new ones, those of a time, those of each type.
-- Writing to users waits while three indexes are built, some seconds for a million accounts.

SET LOCAL lock_timeout = '5s';

CREATE INDEX users_stored_by_idx ON users (stored_by);
CREATE INDEX users_created_at_idx ON users (created_at);
CREATE INDEX users_account_type_idx ON users (account_type) WHERE removed_at IS NULL;
