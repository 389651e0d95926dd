-- Accounts. A removed account stays as a tombstone, so that the other side can still read their conversations.
-- Locks nothing that exists.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;

-- How names are compared in search: case and accents aside. IMMUTABLE is a promise that the dictionary stays as it is,
-- which the index on it needs.
CREATE FUNCTION search_key(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT lower(public.unaccent('public.unaccent'::regdictionary, value))
$$;

CREATE TABLE users (
    id            uuid        NOT NULL DEFAULT uuid_v7(),
    -- Lower case, without surrounding blanks; NULL once the account is removed.
    email         text,
    name          text        NOT NULL,
    bio           text,
    avatar_url    text,
    role          text        NOT NULL DEFAULT 'user',
    account_type  text,
    -- argon2id in PHC form; NULL: cannot sign in with a password.
    password_hash text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    removed_at    timestamptz,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_email_form CHECK (email = lower(email) AND email LIKE '%_@_%' AND octet_length(email) <= 320),
    CONSTRAINT users_email_present CHECK ((email IS NULL) = (removed_at IS NOT NULL)),
    CONSTRAINT users_name_length CHECK (octet_length(name) BETWEEN 1 AND 800),
    CONSTRAINT users_bio_length CHECK (octet_length(bio) <= 16384),
    CONSTRAINT users_avatar_url_length CHECK (octet_length(avatar_url) <= 8192),
    CONSTRAINT users_role_known CHECK (role IN ('user', 'admin')),
    CONSTRAINT users_account_type_known CHECK (account_type IN ('therapist', 'client'))
);

CREATE INDEX users_name_search_idx ON users USING gin (search_key(name) gin_trgm_ops) WHERE removed_at IS NULL;
