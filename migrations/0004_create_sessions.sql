-- Sign-ins and their refresh tokens (convex-protocol.md 6.3), and the limits on failed ones.
-- Locks nothing that exists.

CREATE TABLE sessions (
    id         uuid        NOT NULL DEFAULT uuid_v7(),
    user_id    uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    -- Signed out, replaced, or ended with its account.
    ended_at   timestamptz,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)
);

CREATE INDEX sessions_user_id_idx ON sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
-- Ending a session updates a row whose user the feed has to know.
CREATE UNIQUE INDEX sessions_identity_idx ON sessions (id, user_id);
ALTER TABLE sessions REPLICA IDENTITY USING INDEX sessions_identity_idx;

-- Each use of a token makes its successor; the tokens of a session form a tree.
CREATE TABLE refresh_tokens (
    id            uuid        NOT NULL DEFAULT uuid_v7(),
    session_id    uuid        NOT NULL,
    parent_id     uuid,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    first_used_at timestamptz,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    -- Not CASCADE: clearing out an expired token must leave its successors alone.
    CONSTRAINT refresh_tokens_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES refresh_tokens (id) ON DELETE SET NULL
);

CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_parent_id_idx ON refresh_tokens (parent_id);

-- Token buckets, shared by all workers. A bucket that is not there is full.
CREATE TABLE rate_limits (
    -- What is limited: `sign_in/<account>/<network>`.
    key        text             NOT NULL,
    tokens     double precision NOT NULL,
    updated_at timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT rate_limits_pkey PRIMARY KEY (key)
);

CREATE INDEX rate_limits_updated_at_idx ON rate_limits (updated_at);
