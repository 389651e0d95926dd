-- What the change feed delivers: keys and nothing else. Contents never leave the tables through it.
-- Takes SHARE UPDATE EXCLUSIVE on the published tables for a moment.

CREATE PUBLICATION attune FOR TABLE
    users (id),
    conversations (id, low_user_id, high_user_id),
    messages (id, conversation_id, sender_id, recipient_id),
    sessions (id, user_id);

-- Which socket request a commit answers. Only insertions: clearing out old rows concerns nobody.
CREATE PUBLICATION attune_requests FOR TABLE
    mutation_requests (session_id, request_id)
    WITH (publish = 'insert');
