-- Variables: conversations, messages (per conversation), content.
-- Users 2n - 1 and 2n talk in conversation n. User n has session n. The ids are the numbers in decimal digits.

-- What the foreign keys would check holds by construction.
SET session_replication_role = replica;

INSERT INTO users (id, email, name)
SELECT lpad(number::text, 32, '0')::uuid, format('user%s@bench.example', number), format('User %s', number)
FROM generate_series(1, 2 * :conversations) AS number;

INSERT INTO sessions (id, user_id, expires_at)
SELECT id, id, now() + interval '1 day'
FROM users;

INSERT INTO conversations (id, low_user_id, high_user_id)
SELECT lpad(number::text, 32, '0')::uuid, lpad((2 * number - 1)::text, 32, '0')::uuid, lpad((2 * number)::text, 32, '0')::uuid
FROM generate_series(1, :conversations) AS number;

-- In turns: as in life, neighbours in the table belong to different conversations.
INSERT INTO messages (conversation_id, sender_id, recipient_id, content, read, created_at)
SELECT id,
    CASE WHEN turn % 2 = 0 THEN low_user_id ELSE high_user_id END,
    CASE WHEN turn % 2 = 0 THEN high_user_id ELSE low_user_id END,
    :'content', turn < :messages, clock_timestamp()
FROM conversations
CROSS JOIN generate_series(1, :messages) AS turn
ORDER BY turn, id;

VACUUM ANALYZE;
CHECKPOINT;
