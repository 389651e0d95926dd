-- Conversations of two people, and their messages.
-- Locks nothing that exists.

-- Two people have one conversation. The smaller id is the low one, whoever wrote first.
CREATE TABLE conversations (
    id           uuid        NOT NULL DEFAULT uuid_v7(),
    low_user_id  uuid        NOT NULL,
    high_user_id uuid        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversations_pkey PRIMARY KEY (id),
    CONSTRAINT conversations_members_key UNIQUE (low_user_id, high_user_id),
    -- What messages refer to, so that one foreign key says who may be sender and recipient.
    CONSTRAINT conversations_id_members_key UNIQUE (id, low_user_id, high_user_id),
    CONSTRAINT conversations_members_order CHECK (low_user_id < high_user_id),
    CONSTRAINT conversations_low_user_id_fkey FOREIGN KEY (low_user_id) REFERENCES users (id),
    CONSTRAINT conversations_high_user_id_fkey FOREIGN KEY (high_user_id) REFERENCES users (id)
);

CREATE INDEX conversations_high_user_id_idx ON conversations (high_user_id);

-- Keyed by conversation first: the key itself serves the list, newest first, and a distributed PostgreSQL can place
-- messages by conversation.
CREATE TABLE messages (
    id                uuid        NOT NULL DEFAULT uuid_v7(),
    conversation_id   uuid        NOT NULL,
    sender_id         uuid        NOT NULL,
    recipient_id      uuid        NOT NULL,
    content           text        NOT NULL,
    read              boolean     NOT NULL DEFAULT false,
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- The sender's own name for the message: sending it again gives the first one.
    client_message_id text,
    -- Sender and recipient in the conversation's order, for the foreign key.
    low_user_id       uuid        NOT NULL GENERATED ALWAYS AS (LEAST(sender_id, recipient_id)) STORED,
    high_user_id      uuid        NOT NULL GENERATED ALWAYS AS (GREATEST(sender_id, recipient_id)) STORED,
    CONSTRAINT messages_pkey PRIMARY KEY (conversation_id, id),
    -- Sender and recipient are the two members of that conversation, and so exist and differ.
    CONSTRAINT messages_conversation_fkey FOREIGN KEY (conversation_id, low_user_id, high_user_id)
        REFERENCES conversations (id, low_user_id, high_user_id),
    CONSTRAINT messages_content_length CHECK (octet_length(content) BETWEEN 1 AND 16384),
    CONSTRAINT messages_client_message_id_length CHECK (octet_length(client_message_id) BETWEEN 1 AND 128)
);

-- Messages by id alone: marking as read.
CREATE INDEX messages_id_idx ON messages (id);
-- Unread counts.
CREATE INDEX messages_unread_idx ON messages (recipient_id, conversation_id) WHERE NOT read;
CREATE UNIQUE INDEX messages_client_message_id_key ON messages (sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
