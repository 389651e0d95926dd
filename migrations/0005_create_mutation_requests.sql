-- Mutations that came over a socket and were committed, so that a repeated one gets the first one's answer.
-- Locks nothing that exists.

CREATE TABLE mutation_requests (
    -- The sync client's session, which it makes up itself; not one of ours.
    session_id uuid        NOT NULL,
    request_id bigint      NOT NULL,
    -- Who asked. Somebody else's repeat of the same numbers gets no answer of theirs.
    user_id    uuid,
    -- The result as it was sent, JSON in Convex's encoding.
    result     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mutation_requests_pkey PRIMARY KEY (session_id, request_id)
);

CREATE INDEX mutation_requests_created_at_idx ON mutation_requests (created_at);
