-- Closed streams move to the cold partitions of their slices: the rows stay as they are, and are read as before.

-- Which payments are closed: their saga ended before then, and so did their events. What comes later (a dispute, a late presentment)
-- is appended as ever, and moves when it is old in its turn.
CREATE FUNCTION closed_streams(p_before timestamptz)
RETURNS TABLE (stream_id uuid, version integer, first_position bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.stream_id, s.version, s.first_position
    FROM streams AS s INNER JOIN sagas AS g ON g.saga_id = s.stream_id
    WHERE s.category = 'payment' AND s.archived_version < s.version AND g.handled = s.version AND g.ended_at < p_before
      AND (SELECT e.recorded_at FROM events AS e
           WHERE e.stream_id = s.stream_id AND e.version = s.version AND e.position >= s.first_position) < p_before
$$;

-- Opens the cold partition of each slice that has none; gives how many. As open_slices it gives up soon where a long reader is in its way.
CREATE FUNCTION open_cold() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    opened  integer := 0;
    slice   text;
BEGIN
    FOR slice IN SELECT i.inhrelid::regclass::text FROM pg_inherits AS i INNER JOIN pg_class AS c ON c.oid = i.inhrelid
                 WHERE i.inhparent = 'events'::regclass AND c.relkind = 'p' ORDER BY 1 LOOP
        CONTINUE WHEN to_regclass(slice || '_cold') IS NOT NULL;
        PERFORM open_leaf(slice, slice || '_cold', true);
        opened := opened + 1;
    END LOOP;
    RETURN opened;
END
$$;

-- Moves up to p_limit closed streams, each whole; gives how many streams and events. A stream that somebody appends to is left for later.
CREATE FUNCTION archive_streams(p_before timestamptz, p_limit integer, OUT streams_moved integer, OUT events_moved integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ids    uuid [];
    least  bigint;
BEGIN
    SELECT array_agg(l.stream_id), min(l.first_position) INTO ids, least FROM (
        SELECT s.stream_id, s.first_position FROM streams AS s
        INNER JOIN closed_streams(p_before) AS c ON c.stream_id = s.stream_id AND c.version = s.version
        ORDER BY s.stream_id LIMIT p_limit FOR UPDATE OF s SKIP LOCKED
    ) AS l;
    streams_moved := coalesce(cardinality(ids), 0);
    UPDATE events SET archived = true WHERE stream_id = ANY (ids) AND position >= least AND NOT archived;
    GET DIAGNOSTICS events_moved = ROW_COUNT;
    UPDATE streams SET archived_version = version WHERE stream_id = ANY (ids);
END
$$;

REVOKE ALL ON FUNCTION closed_streams, open_cold, archive_streams FROM public;
GRANT EXECUTE ON FUNCTION closed_streams, open_cold, archive_streams TO operator;
