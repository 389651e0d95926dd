-- Security events, partitioned by month of the event's time.
-- Locks nothing that exists.

CREATE TABLE security_events (
    id          uuid        NOT NULL DEFAULT uuid_v7(),
    occurred_at timestamptz NOT NULL DEFAULT now(),
    -- OWASP logging vocabulary: authn_login_fail, authz_fail, …
    type        text        NOT NULL,
    severity    text        NOT NULL,
    user_id     uuid,
    ip          inet,
    -- {details, source?, context?}
    metadata    jsonb,
    CONSTRAINT security_events_pkey PRIMARY KEY (occurred_at, id),
    CONSTRAINT security_events_type_length CHECK (octet_length(type) BETWEEN 1 AND 128),
    CONSTRAINT security_events_severity_known CHECK (severity IN ('critical', 'high', 'medium', 'low'))
) PARTITION BY RANGE (occurred_at);

-- Takes what no month's partition covers.
CREATE TABLE security_events_other PARTITION OF security_events DEFAULT;

CREATE INDEX security_events_type_idx ON security_events (type, occurred_at DESC, id DESC);
CREATE INDEX security_events_severity_idx ON security_events (severity, occurred_at DESC, id DESC);
