-- A removed account keeps nothing of the person: not the name either, nor which side of the care relation they were on.
-- Blocks writes to mutation_requests while its index is built, and those to accounts that were removed before.

-- The results that tell of a person are objects: profiles. They go with the account.
CREATE INDEX mutation_requests_profiles_idx ON mutation_requests (user_id) WHERE result LIKE '{%';

UPDATE users
SET name = 'Removed user', role = 'user', account_type = NULL
WHERE removed_at IS NOT NULL;

DELETE FROM mutation_requests
USING users
WHERE users.id = mutation_requests.user_id
    AND users.removed_at IS NOT NULL
    AND mutation_requests.result LIKE '{%';
