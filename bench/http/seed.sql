-- Variables: conversations, therapists, messages (per conversation), content.
-- Client n and therapist (n modulo therapists) talk in conversation n. The ids are n in decimal digits, because a pgbench
-- script can make up numbers and no uuids; therapists are numbered from 1000000.

-- What the foreign keys would check holds by construction.
SET session_replication_role = replica;

INSERT INTO users (id, email, name, account_type)
SELECT lpad(number::text, 32, '0')::uuid, format('client%s@bench.example', number), format('Client %s', number), 'client'
FROM generate_series(1, :conversations) AS number;

INSERT INTO users (id, email, name, account_type)
SELECT lpad((1000000 + number)::text, 32, '0')::uuid, format('therapist%s@bench.example', number),
    format('Therapist %s', number), 'therapist'
FROM generate_series(0, :therapists - 1) AS number;

INSERT INTO conversations (id, low_user_id, high_user_id)
SELECT lpad(number::text, 32, '0')::uuid, lpad(number::text, 32, '0')::uuid,
    lpad((1000000 + number % :therapists)::text, 32, '0')::uuid
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
