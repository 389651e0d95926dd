-- Ids for every table: UUIDv7 (RFC 9562), so that they sort by time and new rows land at the end of each index.
-- Locks nothing.

-- 48 bits of milliseconds, the version, then (method 3 of the RFC's section 6.2) the millisecond's fraction in 12 bits:
-- rows made one after the other sort in that order. The rest is a random UUID's, variant included.
-- date_part, not extract: a double holds the microseconds exactly, and numeric costs five times as much.
CREATE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT encode(
        overlay(
            uuid_send(gen_random_uuid())
            PLACING int8send((micros / 1000) << 16 | 28672 | (micros % 1000) * 4096 / 1000)
            FROM 1),
        'hex')::uuid
    FROM CAST(date_part('epoch', clock_timestamp()) * 1000000 AS bigint) AS micros
$$;
