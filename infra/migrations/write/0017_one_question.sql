-- A command's questions, planned once a connection and not each time; and one where there were two.
-- Rows are found here by their ids alone. A plan that is kept must not read a whole table because it was small, or never counted, when
-- the plan was made: so no plan reads one that can do otherwise.

-- What is asked about streams before anything is decided on them, in one question: their heads; what is known of each beforehand (p_known:
-- the version of the state that the caller has; 0: a snapshot by code of one of these fingerprints, if there is one); the events since then;
-- what was answered to these commands before; and the time and the chain's newest block.
-- Events come with the one known, and that one with its hash, to see whether it still stands, as [version, type, schema_version, hash or
-- null, payload]; null where none came since, or more than p_most did: those are for who reads pages.
-- p_lock: the heads are all locked, in one order, before the next statement looks: it sees all that whoever held them before has done, and
-- the clock is never older than the wait for a rival. A view of the chain is as old as the block it ends in, or as the last look where that
-- is longer ago: who catches up is not there yet.
CREATE FUNCTION look(
    p_streams uuid [], p_known integer [], p_fingerprints bytea [], p_most integer, p_commands uuid [], p_lock boolean
) RETURNS TABLE (
    stream_id uuid, category text, version integer, head_hash bytea,
    kept_by bytea, kept_category text, kept_version integer, kept_hash bytea, kept_state jsonb, kept_digest bytea,
    events json, asked_at timestamptz, seen_time bigint, seen_ago bigint, answers json
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
    IF p_lock THEN
        PERFORM FROM streams AS s WHERE s.stream_id = ANY (p_streams) ORDER BY s.stream_id FOR UPDATE;
    END IF;
    RETURN QUERY
    SELECT f.stream_id, f.category, f.version, f.head_hash,
           f.kept_by, f.kept_category, f.kept_version, f.kept_hash, f.kept_state, f.kept_digest,
           CASE WHEN f.version > f.known AND f.version <= f.known + p_most THEN (
               SELECT json_agg(json_build_array(
                   e.version, e.type, e.schema_version, CASE WHEN e.version = f.known THEN encode(e.hash, 'hex') END, e.payload
               ) ORDER BY e.version)
               FROM events AS e
               WHERE e.stream_id = f.stream_id AND e.version >= f.known AND e.position >= f.first_position
           ) END,
           clock_timestamp(), c.seen_time, extract(epoch FROM clock_timestamp() - least(c.moved_at, to_timestamp(c.seen_time)))::bigint,
           (SELECT json_agg(json_build_array(a.command_id, a.type, encode(a.fingerprint, 'hex'), a.answer))
            FROM command_answers AS a WHERE a.command_id = ANY (p_commands))
    FROM (SELECT coalesce(max(n.seen_time), 0) AS seen_time, max(n.moved_at) AS moved_at FROM chain_cursors AS n) AS c
    LEFT JOIN (
        SELECT s.stream_id, s.category, s.version, s.head_hash, s.first_position, greatest(w.known, k.version) AS known,
               k.fingerprint AS kept_by, k.category AS kept_category, k.version AS kept_version, k.head_hash AS kept_hash,
               k.state AS kept_state, k.digest AS kept_digest
        FROM unnest(p_streams, p_known) AS w (id, known) INNER JOIN streams AS s ON s.stream_id = w.id
        LEFT JOIN snapshots AS k
            ON w.known = 0 AND k.stream_id = w.id AND k.fingerprint = ANY (p_fingerprints) AND k.version <= s.version
    ) AS f ON true;
END
$$;

REVOKE ALL ON FUNCTION look FROM public;
GRANT EXECUTE ON FUNCTION look TO listener, commands, sagas, submitter, gateway, operator;

-- As `look`: found by ids alone, with plans that are kept.
ALTER FUNCTION lock_streams (uuid []) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION lock_streams (uuid []) SET enable_seqscan = off;
