-- `look` as before, but for the events: as lists by what they are of, [hash of the first, [types], [schema_versions], [payloads]], from the
-- version known on. To write an array for each event took half as long again as to find a hundred events and write their payloads.
CREATE OR REPLACE FUNCTION look(
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
               SELECT json_build_array(
                   encode((array_agg(e.hash ORDER BY e.version))[1], 'hex'), json_agg(e.type ORDER BY e.version),
                   json_agg(e.schema_version ORDER BY e.version), json_agg(e.payload ORDER BY e.version)
               )
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
