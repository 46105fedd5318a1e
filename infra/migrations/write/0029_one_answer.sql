-- `look` as before, but its answer is one JSON value, [asked_at, seen_time, seen_ago, [answers], [streams]], as streams/event_store/look.py reads it:
-- fifteen columns took the server, the driver and their plan a seventh of the time of a question. Hashes are base64 (RFC 4648, 4).
DROP FUNCTION look (uuid [], integer [], bytea [], integer, uuid [], boolean);

CREATE FUNCTION look(
    p_streams uuid [], p_known integer [], p_fingerprints bytea [], p_most integer, p_commands uuid [], p_lock boolean
) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
    IF p_lock THEN
        PERFORM FROM streams AS s WHERE s.stream_id = ANY (p_streams) ORDER BY s.stream_id FOR UPDATE;
    END IF;
    RETURN (
        SELECT json_build_array(
            clock_timestamp(), c.seen_time, extract(epoch FROM clock_timestamp() - least(c.moved_at, to_timestamp(c.seen_time)))::bigint,
            (SELECT coalesce(json_agg(json_build_array(a.command_id, a.type, encode(a.fingerprint, 'hex'), a.answer)), '[]')
             FROM command_answers AS a WHERE a.command_id = ANY (p_commands)),
            (SELECT coalesce(json_agg(json_build_array(
                 f.stream_id, f.category, f.version, encode(f.head_hash, 'base64'),
                 CASE WHEN f.kept_version IS NOT NULL THEN json_build_array(
                     encode(f.kept_by, 'base64'), f.kept_category, f.kept_version, encode(f.kept_hash, 'base64'), f.kept_state,
                     encode(f.kept_digest, 'base64')
                 ) END,
                 CASE WHEN f.version > f.known AND f.version <= f.known + p_most THEN (
                     SELECT json_build_array(
                         min(encode(e.hash, 'base64')) FILTER (WHERE e.version = f.known), json_agg(e.type ORDER BY e.version),
                         json_agg(e.schema_version ORDER BY e.version), json_agg(e.payload ORDER BY e.version)
                     )
                     FROM events AS e
                     WHERE e.stream_id = f.stream_id AND e.version >= f.known AND e.position >= f.first_position
                 ) END
             )), '[]')
             FROM (
                 SELECT s.stream_id, s.category, s.version, s.head_hash, s.first_position, greatest(w.known, k.version) AS known,
                        k.fingerprint AS kept_by, k.category AS kept_category, k.version AS kept_version, k.head_hash AS kept_hash,
                        k.state AS kept_state, k.digest AS kept_digest
                 FROM unnest(p_streams, p_known) AS w (id, known) INNER JOIN streams AS s ON s.stream_id = w.id
                 LEFT JOIN snapshots AS k
                     ON w.known = 0 AND k.stream_id = w.id AND k.fingerprint = ANY (p_fingerprints) AND k.version <= s.version
             ) AS f)
        )
        FROM (SELECT coalesce(max(n.seen_time), 0) AS seen_time, max(n.moved_at) AS moved_at FROM chain_cursors AS n) AS c
    );
END
$$;
REVOKE ALL ON FUNCTION look FROM public;
GRANT EXECUTE ON FUNCTION look TO listener, commands, sagas, submitter, gateway, operator;
