-- Numbers about the installation: raw facts, what attune-metrics adds up of them, and the results that are shown.
-- docs/metrics.md says what each number means.
-- Takes ACCESS EXCLUSIVE on messages and users for a moment each; builds two indexes.

-- The transaction that stored the row, as in security_events: it tells what is new since a snapshot. Rows from before have a number
-- that every snapshot sees. A bigint, since BRIN knows no xid8.
ALTER TABLE messages ADD COLUMN stored_by bigint NOT NULL DEFAULT 3;
ALTER TABLE messages ALTER COLUMN stored_by SET DEFAULT pg_current_xact_id()::text::bigint;
ALTER TABLE users ADD COLUMN stored_by bigint NOT NULL DEFAULT 3;
ALTER TABLE users ALTER COLUMN stored_by SET DEFAULT pg_current_xact_id()::text::bigint;
-- New messages lie together, so ranges of pages are found fast enough, and sending pays next to nothing for it.
CREATE INDEX messages_stored_by_idx ON messages USING brin (stored_by) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX users_stored_by_idx ON users (stored_by);
CREATE INDEX users_created_at_idx ON users (created_at);
-- How many accounts of each type there are.
CREATE INDEX users_account_type_idx ON users (account_type) WHERE removed_at IS NULL;

-- Raw facts. Workers append them every few seconds; nobody changes them; they go when they are older than the retention
-- (ATTUNE_METRICS_RAW_DAYS). A worker that does not know whether a report was stored stores it again under the same number.

-- The calls of each function that a worker has answered since its report before.
CREATE TABLE function_calls (
    worker_id    uuid        NOT NULL,
    report       bigint      NOT NULL,
    -- `messages:list`
    function     text        NOT NULL,
    -- When the worker made the report: the calls ended within some seconds before.
    recorded_at  timestamptz NOT NULL,
    calls        bigint      NOT NULL,
    -- Those that ended in an error of ours: internal_error, or no database.
    failed_calls bigint      NOT NULL,
    -- The sum of their response times.
    microseconds bigint      NOT NULL,
    -- Their distribution: so many calls (counts) took so many microseconds (durations, ascending), to two digits.
    durations    bigint[]    NOT NULL,
    counts       bigint[]    NOT NULL,
    stored_by    bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    CONSTRAINT function_calls_pkey PRIMARY KEY (worker_id, report, function),
    CONSTRAINT function_calls_histogram CHECK (cardinality(durations) = cardinality(counts))
);
CREATE INDEX function_calls_stored_by_idx ON function_calls (stored_by);
CREATE INDEX function_calls_recorded_at_idx ON function_calls (recorded_at);

-- When a sign-in's calls came: the first and the last of those that a report covers, at most a minute apart.
CREATE TABLE session_activity (
    worker_id  uuid        NOT NULL,
    report     bigint      NOT NULL,
    session_id uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    stored_by  bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    CONSTRAINT session_activity_pkey PRIMARY KEY (worker_id, report, session_id),
    CONSTRAINT session_activity_order CHECK (first_at <= last_at)
);
CREATE INDEX session_activity_stored_by_idx ON session_activity (stored_by);
CREATE INDEX session_activity_last_at_idx ON session_activity (last_at);

-- How busy each host is that runs a daemon.
CREATE TABLE hosts (
    name        text             NOT NULL,
    -- The load average over one minute, divided by the number of processors.
    load        double precision NOT NULL,
    processors  int              NOT NULL,
    reported_at timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT hosts_pkey PRIMARY KEY (name)
);

-- What has been added up: the facts whose `stored_by` the snapshot `seen` sees.
CREATE TABLE metrics_progress (
    id          boolean     NOT NULL DEFAULT true,
    seen        pg_snapshot NOT NULL,
    -- The transaction that wrote this row: if it is another, the database was restored from a dump, and transactions have new numbers.
    written_by  xid8        NOT NULL DEFAULT pg_current_xact_id(),
    -- Older facts of activity and calls are gone, and later ones of that time are left out. A UTC day's beginning.
    facts_since timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT metrics_progress_pkey PRIMARY KEY (id),
    CONSTRAINT metrics_progress_one_row CHECK (id)
);
INSERT INTO metrics_progress (seen) VALUES ('1:1:');

-- Stretches of activity of one sign-in without a pause of 30 minutes: what the numbers call a session. Kept as long as raw facts.
CREATE TABLE visits (
    session_id     uuid        NOT NULL,
    started_at     timestamptz NOT NULL,
    last_active_at timestamptz NOT NULL,
    user_id        uuid        NOT NULL,
    CONSTRAINT visits_pkey PRIMARY KEY (session_id, started_at),
    CONSTRAINT visits_order CHECK (started_at <= last_active_at)
);
CREATE INDEX visits_started_at_idx ON visits (started_at);
CREATE INDEX visits_last_active_at_idx ON visits (last_active_at);

-- When each user was last active, for ever.
CREATE TABLE user_activity (
    user_id        uuid        NOT NULL,
    last_active_at timestamptz NOT NULL,
    CONSTRAINT user_activity_pkey PRIMARY KEY (user_id)
);
CREATE INDEX user_activity_last_active_at_idx ON user_activity (last_active_at);

-- Wakes live queries once per statement, not once per row.
CREATE FUNCTION user_activity_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_logical_emit_message(true, 'attune.topics', 'user_activity');
    RETURN NULL;
END;
$$;
CREATE TRIGGER user_activity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON user_activity
    FOR EACH STATEMENT EXECUTE FUNCTION user_activity_changed();

-- Who was active in an hour, a day, a week (from Monday) in UTC; kept as long as raw facts, so that nobody is counted twice.
CREATE TABLE active_users (
    unit      text        NOT NULL,
    starts_at timestamptz NOT NULL,
    user_id   uuid        NOT NULL,
    CONSTRAINT active_users_pkey PRIMARY KEY (unit, starts_at, user_id),
    CONSTRAINT active_users_unit_known CHECK (unit IN ('hour', 'day', 'week'))
);

-- Sums by minute (kept for two days), hour (for 60 days) and day (for ever), in UTC.
CREATE TABLE rollups (
    unit         text        NOT NULL,
    starts_at    timestamptz NOT NULL,
    messages     bigint      NOT NULL DEFAULT 0,
    new_users    bigint      NOT NULL DEFAULT 0,
    -- Visits that began.
    sessions     bigint      NOT NULL DEFAULT 0,
    -- Not of minutes.
    active_users bigint      NOT NULL DEFAULT 0,
    CONSTRAINT rollups_pkey PRIMARY KEY (unit, starts_at),
    CONSTRAINT rollups_unit_known CHECK (unit IN ('minute', 'hour', 'day'))
);

-- The same for calls, by function; the function `*` is all of them together.
CREATE TABLE call_rollups (
    unit         text        NOT NULL,
    starts_at    timestamptz NOT NULL,
    function     text        NOT NULL,
    calls        bigint      NOT NULL,
    failed_calls bigint      NOT NULL,
    microseconds bigint      NOT NULL,
    durations    bigint[]    NOT NULL,
    counts       bigint[]    NOT NULL,
    CONSTRAINT call_rollups_pkey PRIMARY KEY (unit, starts_at, function),
    CONSTRAINT call_rollups_unit_known CHECK (unit IN ('minute', 'hour', 'day'))
);

-- How many visits that began on a day lasted so many whole seconds; for 60 days.
CREATE TABLE visit_lengths (
    day     timestamptz NOT NULL,
    seconds bigint      NOT NULL,
    visits  bigint      NOT NULL,
    CONSTRAINT visit_lengths_pkey PRIMARY KEY (day, seconds)
);

-- Of the users whose accounts were made in the week `cohort`, how many were active in `week`.
CREATE TABLE cohort_weeks (
    cohort timestamptz NOT NULL,
    week   timestamptz NOT NULL,
    users  bigint      NOT NULL,
    CONSTRAINT cohort_weeks_pkey PRIMARY KEY (cohort, week)
);

-- What `admin:getSystemMetrics` shows. Written only when a value changes.
CREATE TABLE system_metrics (
    id                    boolean          NOT NULL DEFAULT true,
    active_users          bigint           NOT NULL DEFAULT 0,
    active_sessions       bigint           NOT NULL DEFAULT 0,
    sessions_today        bigint           NOT NULL DEFAULT 0,
    total_therapists      bigint           NOT NULL DEFAULT 0,
    total_clients         bigint           NOT NULL DEFAULT 0,
    messages_sent         bigint           NOT NULL DEFAULT 0,
    -- In milliseconds, to a tenth.
    avg_response_time     double precision NOT NULL DEFAULT 0,
    response_time_p50     double precision NOT NULL DEFAULT 0,
    response_time_p95     double precision NOT NULL DEFAULT 0,
    response_time_p99     double precision NOT NULL DEFAULT 0,
    -- To a hundredth.
    system_load           double precision NOT NULL DEFAULT 0,
    storage_bytes         bigint           NOT NULL DEFAULT 0,
    active_security_level text             NOT NULL DEFAULT 'low',
    updated_at            timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT system_metrics_pkey PRIMARY KEY (id),
    CONSTRAINT system_metrics_one_row CHECK (id)
);
INSERT INTO system_metrics DEFAULT VALUES;

-- What `admin:getUserAnalytics` shows. Written only when a value changes.
CREATE TABLE user_analytics (
    timeframe              text             NOT NULL,
    -- The beginning of the first bucket. NULL: not computed yet.
    since                  timestamptz,
    active_users           bigint           NOT NULL DEFAULT 0,
    new_users              bigint           NOT NULL DEFAULT 0,
    returning_users        bigint           NOT NULL DEFAULT 0,
    sessions               bigint           NOT NULL DEFAULT 0,
    -- NULL: there were no sessions.
    median_session_seconds bigint,
    messages               bigint           NOT NULL DEFAULT 0,
    stickiness             double precision NOT NULL DEFAULT 0,
    -- [{start, activeUsers, newUsers, sessions, messages, calls, avgResponseTime, responseTimeP95}, …], the oldest first; `start` in
    -- milliseconds since 1970, response times in milliseconds.
    buckets                jsonb            NOT NULL DEFAULT '[]',
    -- [{week, users, active: [users active in that week, in the one after it, …]}, …], the oldest first.
    cohorts                jsonb            NOT NULL DEFAULT '[]',
    updated_at             timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT user_analytics_pkey PRIMARY KEY (timeframe),
    CONSTRAINT user_analytics_timeframe_known CHECK (timeframe IN ('day', 'week', 'month'))
);
INSERT INTO user_analytics (timeframe) VALUES ('day'), ('week'), ('month');

ALTER PUBLICATION attune ADD TABLE system_metrics (id), user_analytics (timeframe);
