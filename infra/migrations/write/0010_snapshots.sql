-- Snapshots: the fold of a stream's first events, kept so that a long stream loads like a short one. Never trusted over the events:
-- one that does not stand on the event it names is not read, and all of them may be dropped at any moment.

CREATE TABLE snapshots (
    stream_id    uuid NOT NULL,
    fingerprint  bytea NOT NULL,                      -- sha256 over the code that folded it: another version keeps its own beside it
    category     text NOT NULL,
    version      integer NOT NULL CHECK (version > 0),
    head_hash    bytea NOT NULL,                      -- of the event at that version
    position     bigint NOT NULL,                     -- of that event: what follows lies behind it
    state        jsonb NOT NULL,
    digest       bytea NOT NULL,                      -- sha256 over all the above but the position, as sorted JSON
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream_id, fingerprint)
);

-- Keeps those that stand on a stored event, the newest of each stream; gives whose event was there. One that stands on nothing, or
-- says something else of the same version, gives way.
CREATE FUNCTION save_snapshots(
    p_streams uuid [], p_fingerprints bytea [], p_categories text [], p_versions integer [], p_heads bytea [], p_states jsonb [],
    p_digests bytea []
) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH standing AS (
        SELECT n.*, e.position
        FROM unnest(p_streams, p_fingerprints, p_categories, p_versions, p_heads, p_states, p_digests)
            AS n (stream_id, fingerprint, category, version, head_hash, state, digest)
        INNER JOIN events AS e
            ON e.stream_id = n.stream_id AND e.version = n.version AND e.hash = n.head_hash AND e.category = n.category
    ), saved AS (
        INSERT INTO snapshots AS kept (stream_id, fingerprint, category, version, head_hash, position, state, digest)
        SELECT s.stream_id, s.fingerprint, s.category, s.version, s.head_hash, s.position, s.state, s.digest
        FROM standing AS s ORDER BY s.stream_id
        ON CONFLICT (stream_id, fingerprint) DO UPDATE
        SET category = excluded.category, version = excluded.version, head_hash = excluded.head_hash, position = excluded.position,
            state = excluded.state, digest = excluded.digest, recorded_at = clock_timestamp()
        WHERE kept.version < excluded.version
            OR (
                kept.version = excluded.version
                AND (kept.head_hash, kept.category, kept.state, kept.digest)
                <> (excluded.head_hash, excluded.category, excluded.state, excluded.digest)
            )
            OR NOT EXISTS (
                SELECT FROM events AS e
                WHERE e.stream_id = kept.stream_id AND e.version = kept.version AND e.hash = kept.head_hash
            )
    )
    SELECT s.stream_id FROM standing AS s
$$;

-- Drops the snapshots of these streams (null: of all), but for those of the fingerprints to be kept; gives how many.
CREATE FUNCTION drop_snapshots(p_streams uuid [], p_keep bytea []) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH dropped AS (
        DELETE FROM snapshots AS s
        WHERE (p_streams IS NULL OR s.stream_id = ANY (p_streams)) AND NOT s.fingerprint = ANY (p_keep)
        RETURNING 1
    )
    SELECT count(*) FROM dropped
$$;

REVOKE ALL ON FUNCTION save_snapshots, drop_snapshots FROM public;
GRANT SELECT ON snapshots TO listener, commands, sagas, submitter, gateway, operator, auditor;
GRANT EXECUTE ON FUNCTION save_snapshots TO listener, commands, sagas, submitter, gateway, operator;
GRANT EXECUTE ON FUNCTION drop_snapshots TO operator;
