-- Numbers about the installation: raw facts, what attune-metrics adds up of them, and the results that are shown.
-- docs/metrics.md says what each number means.
-- Takes SHARE ROW EXCLUSIVE on messages and users for a moment, for their triggers.

-- Raw facts. Workers append them every few seconds; nobody changes them; they go when they are older than the retention
-- (ATTUNE_METRICS_RAW_DAYS). A worker that does not know whether a report was stored stores it again under the same number.

-- The calls of each function that a worker has answered since its report before.
CREATE TABLE function_calls (
    worker_id    uuid        NOT NULL,
    report       bigint      NOT NULL,
    -- `messages:list`
    function     text        NOT NULL,
    -- When the last of the calls were noted. The others ended within some seconds before; within ten minutes, while the worker
    -- could not store reports.
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
    CONSTRAINT function_calls_histogram CHECK (cardinality(durations) = cardinality(counts)),
    -- That one stands for all of them together in call_rollups.
    CONSTRAINT function_calls_function_named CHECK (function <> '*')
);
CREATE INDEX function_calls_stored_by_idx ON function_calls (stored_by);
CREATE INDEX function_calls_recorded_at_idx ON function_calls (recorded_at);

-- When a sign-in's calls came: the first and the last of those that a report covers, about a minute apart at most; some ten minutes
-- while the worker could not store reports.
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

-- How busy each host is that runs attune-api or attune-metrics.
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
    -- The transaction that wrote this row: see counted_facts.
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
    -- [{start, activeUsers, newUsers, sessions, messages, calls, avgResponseTime, responseTimeP95}, …], the oldest first; `start`
    -- in milliseconds since 1970, response times in milliseconds.
    buckets                jsonb            NOT NULL DEFAULT '[]',
    -- [{week, users, active: [users active in that week, in the one after it, …]}, …], the oldest first.
    cohorts                jsonb            NOT NULL DEFAULT '[]',
    updated_at             timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT user_analytics_pkey PRIMARY KEY (timeframe),
    CONSTRAINT user_analytics_timeframe_known CHECK (timeframe IN ('day', 'week', 'month'))
);
INSERT INTO user_analytics (timeframe) VALUES ('day'), ('week'), ('month');

-- What has been counted: a snapshot that sees nothing, if its row was not written by the transaction that it names. So it is in a
-- database that was restored from a dump, where transactions have other numbers.
CREATE FUNCTION counted_facts() RETURNS pg_snapshot LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN progress.xmin::text::bigint = progress.written_by::text::bigint & 4294967295 THEN progress.seen
        ELSE '1:1:'
    END
    FROM metrics_progress AS progress
$$;

-- The rows of `rollups` and `call_rollups` that what happened at a moment belongs to, as long as these are kept.
CREATE FUNCTION rollup_buckets(moment timestamptz) RETURNS TABLE (unit text, starts_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT buckets.unit, buckets.starts_at
    FROM (
        VALUES ('minute', date_bin('1 minute', moment, '0001-01-01 00:00:00+00'), now() - interval '48 hours'),
            ('hour', date_bin('1 hour', moment, '0001-01-01 00:00:00+00'), now() - interval '1440 hours'),
            ('day', date_bin('1 day', moment, '0001-01-01 00:00:00+00'), '-infinity')
    ) AS buckets (unit, starts_at, kept_since)
    WHERE buckets.starts_at >= buckets.kept_since
$$;

-- Messages and accounts are kept for ever, and counted once. What people change by hand is corrected here: whoever counts holds the
-- same lock, so a row is either counted before or not at all. The argument is the column of `rollups`.

-- Takes deleted rows that have been counted out of the sums.
CREATE FUNCTION rollups_forget_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM old_rows) THEN
        RETURN NULL;
    END IF;
    PERFORM FROM metrics_progress FOR UPDATE;
    EXECUTE format(
        'UPDATE rollups SET %1$I = rollups.%1$I - gone.rows
        FROM (
            SELECT buckets.unit, buckets.starts_at, count(*) AS rows
            FROM old_rows
            CROSS JOIN LATERAL rollup_buckets(old_rows.created_at) AS buckets
            WHERE pg_visible_in_snapshot(old_rows.stored_by::text::xid8, $1)
            GROUP BY buckets.unit, buckets.starts_at
        ) AS gone
        WHERE rollups.unit = gone.unit AND rollups.starts_at = gone.starts_at',
        TG_ARGV[0])
    USING counted_facts();
    RETURN NULL;
END;
$$;

-- Moves a row that has been counted to the sums of its new time.
CREATE FUNCTION rollups_move_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM metrics_progress FOR UPDATE;
    IF pg_visible_in_snapshot(OLD.stored_by::text::xid8, counted_facts()) THEN
        EXECUTE format(
            'INSERT INTO rollups (unit, starts_at, %1$I)
            SELECT buckets.unit, buckets.starts_at, sum(moments.change)
            FROM (VALUES ($1, -1), ($2, 1)) AS moments (moment, change)
            CROSS JOIN LATERAL rollup_buckets(moments.moment) AS buckets
            GROUP BY buckets.unit, buckets.starts_at
            ON CONFLICT ON CONSTRAINT rollups_pkey DO UPDATE SET %1$I = rollups.%1$I + excluded.%1$I',
            TG_ARGV[0])
        USING OLD.created_at, NEW.created_at;
    END IF;
    RETURN NULL;
END;
$$;

-- For TRUNCATE, which takes all rows, counted or not.
CREATE FUNCTION rollups_forget_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM metrics_progress FOR UPDATE;
    EXECUTE format('UPDATE rollups SET %1$I = 0 WHERE %1$I <> 0', TG_ARGV[0]);
    RETURN NULL;
END;
$$;

CREATE TRIGGER messages_deleted AFTER DELETE ON messages REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION rollups_forget_deleted('messages');
-- Of each row, and of this column: marking messages as read is to cost nothing.
CREATE TRIGGER messages_moved AFTER UPDATE OF created_at ON messages
    FOR EACH ROW WHEN (OLD.created_at <> NEW.created_at) EXECUTE FUNCTION rollups_move_changed('messages');
CREATE TRIGGER messages_truncated AFTER TRUNCATE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION rollups_forget_all('messages');
CREATE TRIGGER users_deleted AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION rollups_forget_deleted('new_users');
CREATE TRIGGER users_moved AFTER UPDATE OF created_at ON users
    FOR EACH ROW WHEN (OLD.created_at <> NEW.created_at) EXECUTE FUNCTION rollups_move_changed('new_users');
CREATE TRIGGER users_truncated AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION rollups_forget_all('new_users');

-- The same for the weeks in which users were active: of the weeks that are still known by user.
CREATE FUNCTION cohorts_forget_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM old_rows) THEN
        RETURN NULL;
    END IF;
    PERFORM FROM metrics_progress FOR UPDATE;
    UPDATE cohort_weeks SET users = cohort_weeks.users - gone.users
    FROM (
        SELECT date_bin('7 days', old_rows.created_at, '0001-01-01 00:00:00+00') AS cohort, active_users.starts_at AS week,
            count(*) AS users
        FROM old_rows
        JOIN active_users ON active_users.unit = 'week' AND active_users.user_id = old_rows.id
        GROUP BY 1, 2
    ) AS gone
    WHERE cohort_weeks.cohort = gone.cohort AND cohort_weeks.week = gone.week;
    RETURN NULL;
END;
$$;

CREATE FUNCTION cohorts_move_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM metrics_progress FOR UPDATE;
    INSERT INTO cohort_weeks (cohort, week, users)
    SELECT date_bin('7 days', moments.moment, '0001-01-01 00:00:00+00'), active_users.starts_at, sum(moments.change)
    FROM (VALUES (OLD.created_at, -1), (NEW.created_at, 1)) AS moments (moment, change)
    CROSS JOIN active_users
    WHERE active_users.unit = 'week' AND active_users.user_id = NEW.id
    GROUP BY 1, 2
    ON CONFLICT ON CONSTRAINT cohort_weeks_pkey DO UPDATE SET users = cohort_weeks.users + excluded.users;
    RETURN NULL;
END;
$$;

CREATE FUNCTION cohorts_forget_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM metrics_progress FOR UPDATE;
    DELETE FROM cohort_weeks;
    RETURN NULL;
END;
$$;

CREATE TRIGGER users_deleted_from_cohorts AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION cohorts_forget_deleted();
CREATE TRIGGER users_moved_between_cohorts AFTER UPDATE OF created_at ON users
    FOR EACH ROW WHEN (OLD.created_at <> NEW.created_at) EXECUTE FUNCTION cohorts_move_changed();
CREATE TRIGGER users_truncated_in_cohorts AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION cohorts_forget_all();

ALTER PUBLICATION attune ADD TABLE system_metrics (id), user_analytics (timeframe);
