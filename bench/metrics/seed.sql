-- A year of activity until now. Variables: users, messages (a multiple of 5), visits (stretches of activity, in several facts
-- each).
--
-- The installation grows; days, nights and weekends are seen in it. Ids are numbers in decimal digits. Users are numbered in the
-- order of their accounts: every twentieth is a therapist, whose clients are among the others; client n and their therapist talk
-- in conversation n. User 1 is an administrator.

\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL timezone = 'UTC';
-- The foreign keys are looked at in the end, all at once.
SET LOCAL session_replication_role = replica;
SET LOCAL work_mem = '256MB';
SET LOCAL jit = off;
SELECT setseed(0.5) \g /dev/null

CREATE FUNCTION pg_temp.id(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT lpad(number::text, 32, '0')::uuid
$$;

-- One who was there before client n.
CREATE FUNCTION pg_temp.therapist(client bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashint8(client)::bigint + 2147483648) % ((client - 1) / 20 + 1) * 20 + 1
$$;

-- The year's hours, from 0; how many users there were by then; which part of the year's activity lies before the hour, and before
-- its end.
CREATE TEMPORARY TABLE hours ON COMMIT DROP AS
WITH weights AS (
    SELECT hour, now() + (hour - 8760) * interval '1 hour' AS starts_at,
        1 + floor((:users - 1) * power(greatest(hour - 3, 0) / 8760.0, 1.5))::bigint AS users
    FROM generate_series(0, 8759) AS hour
), shares AS (
    SELECT hour, starts_at, users,
        users * CASE WHEN date_part('isodow', starts_at) > 5 THEN 0.4 ELSE 1 END
            * ('{1,1,1,1,1,2,6,12,18,22,24,22,18,20,22,22,20,22,26,28,22,14,8,3}'::int[])[date_part('hour', starts_at)::int + 1]
            AS activity
    FROM weights
    WHERE users > 2
)
SELECT hour, starts_at, users,
    (sum(activity) OVER (ORDER BY hour) - activity) / sum(activity) OVER () AS part_before,
    CASE WHEN hour = 8759 THEN 1 ELSE sum(activity) OVER (ORDER BY hour) / sum(activity) OVER () END AS part_until
FROM shares;

INSERT INTO users (id, email, name, role, account_type, created_at, removed_at)
SELECT pg_temp.id(number), CASE WHEN removed_at IS NULL THEN format('user%s@bench.example', number) END,
    CASE WHEN removed_at IS NULL THEN format('User %s', number) ELSE 'Removed user' END,
    CASE WHEN number = 1 THEN 'admin' ELSE 'user' END,
    CASE WHEN number % 20 = 1 THEN 'therapist' ELSE 'client' END, created_at, removed_at
FROM generate_series(1, :users) AS number
CROSS JOIN LATERAL (
    SELECT now() - interval '365 days' * (1 - power((number - 1) / (:users - 1)::double precision, 2 / 3.0)) AS created_at
) AS account
CROSS JOIN LATERAL (
    SELECT CASE WHEN number % 50 = 7 THEN now() - random() * (now() - created_at) END AS removed_at
) AS removal;

INSERT INTO conversations (id, low_user_id, high_user_id, created_at)
SELECT id, pg_temp.id(pg_temp.therapist(number)), id, created_at
FROM (SELECT id, ltrim(replace(id::text, '-', ''), '0')::bigint AS number, created_at FROM users) AS members
WHERE number % 20 <> 1;

-- Five messages in turn make an exchange. The newer a client, the more there is to say.
INSERT INTO messages (id, conversation_id, sender_id, recipient_id, content, read, created_at)
SELECT pg_temp.id(5 * exchange + turn), pg_temp.id(client),
    pg_temp.id(CASE WHEN turn % 2 = 0 THEN client ELSE therapist END),
    pg_temp.id(CASE WHEN turn % 2 = 0 THEN therapist ELSE client END),
    repeat('Thank you, that helps. ', (1 + (exchange * 7 + turn * 3) % 11)::int),
    turn < 4 OR ended_at < now() - interval '1 day', ended_at - (4 - turn) * pace
FROM (
    SELECT exchange, starts_at + (exchange - first) / (until - first)::double precision * interval '1 hour' AS ended_at,
        random() * interval '3 minutes' AS pace,
        -- Not a therapist's number.
        CASE WHEN choice % 20 = 1 THEN choice + 1 ELSE choice END AS client
    FROM (
        SELECT starts_at, users, floor(part_before * (:messages / 5))::bigint AS first,
            floor(part_until * (:messages / 5))::bigint AS until
        FROM hours
        ORDER BY hour
    ) AS hours
    CROSS JOIN LATERAL generate_series(first, until - 1) AS exchange
    CROSS JOIN LATERAL (SELECT 1 + floor((users - 1) * (1 - random() * random()))::bigint AS choice WHERE exchange >= 0) AS chosen
) AS exchanges
CROSS JOIN LATERAL (SELECT pg_temp.therapist(client) AS therapist) AS members
CROSS JOIN generate_series(0, 4) AS turn;

-- A sign-in lasts two months; some have two at a time. Each fact of a visit is of some worker's report, which comes every five
-- seconds.
INSERT INTO session_activity (worker_id, report, session_id, user_id, first_at, last_at)
SELECT pg_temp.id(worker), floor(date_part('epoch', last_at) / 5), pg_temp.id(session), pg_temp.id(user_number), first_at, last_at
FROM (
    SELECT floor(random() * 3)::bigint AS worker, user_number, session, last_at,
        last_at - random() * least(pace, interval '1 minute') AS first_at
    FROM (
        SELECT starts_at + (visit - first) / (until - first)::double precision * interval '1 hour' AS ended_at,
            1 + floor((users - 1) * (1 - random() * random()))::bigint AS user_number,
            7 * hour / 8760 + CASE WHEN random() < 0.3 THEN 7 ELSE 0 END AS sign_in,
            -- Sometimes there is a pause, though none of half an hour.
            CASE WHEN random() < 0.05 THEN 20 ELSE 2 END * random() * interval '1 minute' AS pace,
            least(floor(-2 * ln(1 - random())), 11)::int AS more
        FROM (
            SELECT hour, starts_at, users, floor(part_before * :visits)::bigint AS first,
                floor(part_until * :visits)::bigint AS until
            FROM hours
            ORDER BY hour
        ) AS hours
        CROSS JOIN LATERAL generate_series(first, until - 1) AS visit
    ) AS visits
    CROSS JOIN LATERAL (SELECT 100 * user_number + sign_in AS session) AS sessions
    CROSS JOIN LATERAL generate_series(0, more) AS fact
    CROSS JOIN LATERAL (SELECT ended_at - (more - fact) * pace AS last_at) AS ends
) AS facts
ON CONFLICT ON CONSTRAINT session_activity_pkey DO NOTHING;

INSERT INTO sessions (id, user_id, created_at, expires_at)
SELECT session_id, user_id, min(first_at), min(first_at) + interval '60 days'
FROM session_activity
GROUP BY 1, 2;

-- How long the calls of each function take, each part of them; in microseconds, as histograms of two digits keep them: the highest
-- of those that are the same.
CREATE TEMPORARY TABLE response_times ON COMMIT DROP AS
SELECT function, rate * share AS part, duration / step * step + step - 1 AS duration
FROM (
    VALUES ('messages:list', 0.3, 900), ('messages:send', 0.1, 2500), ('messages:listConversations', 0.2, 1500),
        ('messages:markAsRead', 0.12, 1800), ('users:getProfile', 0.08, 500), ('auth:getCurrentUser', 0.16, 300),
        ('users:search', 0.02, 6000), ('auth:signIn', 0.02, 60000)
) AS functions (function, rate, usual)
CROSS JOIN (
    VALUES (0.6, 0.1), (0.8, 0.25), (1, 0.25), (1.3, 0.2), (1.9, 0.1), (3, 0.05), (5, 0.03), (11, 0.015), (40, 0.005)
) AS distribution (factor, share)
CROSS JOIN LATERAL (SELECT (usual * factor)::bigint AS duration) AS exact
CROSS JOIN LATERAL (SELECT greatest(1, 2 ^ (floor(log(2, duration)) - 7))::bigint AS step) AS steps;

-- By the hour, and of the last two days every five seconds; twenty calls for each visit.
INSERT INTO function_calls (worker_id, report, function, recorded_at, calls, failed_calls, microseconds, durations, counts)
SELECT pg_temp.id(worker), floor(date_part('epoch', recorded_at) / 5), function, recorded_at, sum(count),
    (random() < sum(count) / 1e5)::int, sum(duration * count), array_agg(duration ORDER BY duration),
    array_agg(count ORDER BY duration)
FROM (
    SELECT worker, recorded_at, function, duration, floor(rate * part + random())::bigint AS count
    FROM (
        SELECT 0 AS worker, starts_at + interval '1 hour' AS recorded_at, (part_until - part_before) * 20 * :visits AS rate
        FROM hours
        WHERE hour < 8760 - 48
        UNION ALL
        SELECT 1, starts_at + slot * interval '5 seconds', (part_until - part_before) * 20 * :visits / 720
        FROM hours
        CROSS JOIN generate_series(1, 720) AS slot
        WHERE hour >= 8760 - 48
    ) AS reports
    CROSS JOIN response_times
) AS calls
WHERE count > 0
GROUP BY worker, recorded_at, function;

SELECT make_security_events_partition(now() - month * interval '1 month') FROM generate_series(0, 12) AS month \g /dev/null
INSERT INTO security_events (occurred_at, type, severity, user_id, ip, metadata)
SELECT now() - random() * interval '365 days', type, severity, pg_temp.id(1 + floor(:users * random())::bigint),
    '198.51.100.0'::inet + (random() * 255)::int, jsonb_build_object('details', details)
FROM (
    VALUES ('authn_login_fail', 'medium', 'Wrong password', 0.8), ('authz_fail', 'medium', 'Only administrators may do this', 0.15),
        ('excess_rate_limit_exceeded', 'high', 'Too many failed sign-ins from this network', 0.05)
) AS kinds (type, severity, details, part)
CROSS JOIN LATERAL generate_series(1, (part * :users)::int);

-- What the foreign keys would have checked.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM messages
        LEFT JOIN conversations ON conversations.id = messages.conversation_id
            AND conversations.low_user_id = messages.low_user_id AND conversations.high_user_id = messages.high_user_id
        WHERE conversations.id IS NULL
    ) OR EXISTS (
        SELECT FROM conversations
        LEFT JOIN users AS low ON low.id = conversations.low_user_id
        LEFT JOIN users AS high ON high.id = conversations.high_user_id
        WHERE low.id IS NULL OR high.id IS NULL
    ) OR EXISTS (
        SELECT FROM sessions LEFT JOIN users ON users.id = sessions.user_id WHERE users.id IS NULL
    ) THEN
        RAISE 'the year has rows whose foreign keys lead nowhere';
    END IF;
END $$;
COMMIT;

VACUUM ANALYZE;
CHECKPOINT;
