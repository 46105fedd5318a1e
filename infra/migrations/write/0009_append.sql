-- The event store's functions: append, and up to where all events may be read. No role writes the tables in any other way.

-- Whoever appends holds this lock, shared, from before its first position until its transaction ends; its key says above which
-- position all of its own will be (the lower 48 bits, below our mark). So a reader knows what may still come, by appends alone.
CREATE FUNCTION append_lock(p_above bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (20562::bigint << 48) | p_above;

CREATE FUNCTION newest_position() RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_positions
$$;

-- Who appends now, the one that readers wait for first: all that its transaction adds is above this position; since so many seconds.
CREATE FUNCTION appending()
RETURNS TABLE (above bigint, pid integer, role text, application text, state text, seconds double precision)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT min(((l.classid::bigint & 65535) << 32) | l.objid::bigint) AS above, l.pid, a.usename::text, a.application_name, a.state,
           extract(epoch FROM clock_timestamp() - a.xact_start)::double precision
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint >> 16 = 20562 AND l.granted
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    GROUP BY l.pid, a.usename, a.application_name, a.state, a.xact_start
    ORDER BY above
$$;

-- Up to which position everything that was ever appended is to be seen by the NEXT statement: nothing can still come below it.
-- The sequence is read before the locks: who is not among these yet will get higher positions. Within one snapshot that is older
-- than the answer a commit could be missed, so any isolation but READ COMMITTED is refused (PR004).
CREATE FUNCTION read_horizon() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    newest  bigint;
    held    bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'all events are read in READ COMMITTED, not in %', current_setting('transaction_isolation')
            USING ERRCODE = 'PR004';
    END IF;
    newest := newest_position();
    SELECT min(((l.classid::bigint & 65535) << 32) | l.objid::bigint) INTO held FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint >> 16 = 20562 AND l.granted
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());
    RETURN least(newest, held);
END
$$;

-- Appends to one or several streams, with the outbox rows and the command answers, all or nothing, in one round trip; gives the
-- positions, event by event. Streams come as (id, category, expected version, number of events, new head hash); events in order,
-- and what is JSON as one array of all, read in one go.
-- p_not_after: refuse (PR002) when this server's clock is past it. A stream that is elsewhere: PR001, with both versions, unless
-- the same events are all there: then the first append's positions. An event id that was used for something else: PR003.
CREATE FUNCTION append_events(
    p_streams uuid [], p_categories text [], p_expected integer [], p_added integer [], p_heads bytea [],
    p_event_ids uuid [], p_event_streams uuid [], p_versions integer [], p_event_categories text [], p_types text [],
    p_schema_versions smallint [], p_hashes bytea [], p_payloads jsonb, p_metadata jsonb,
    p_topics text [], p_records bytea [],
    p_command_ids uuid [], p_command_types text [], p_fingerprints bytea [], p_business jsonb, p_answers jsonb,
    p_not_after timestamptz
) RETURNS bigint []
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    positions  bigint [] := '{}';
    moved      integer;
    made       integer := 0;
    newest     bigint;
    now        timestamptz;
    told       text;
    done       text;                                  -- what is assigned is worked out at once; PERFORM would run a query for it
BEGIN
    IF p_not_after IS NOT NULL AND clock_timestamp() > p_not_after THEN
        RAISE EXCEPTION 'the deadline % has passed', p_not_after USING ERRCODE = 'PR002';
    END IF;

    -- In one order, so that rivals never deadlock. A stream that was expected not to be there is not locked here, though it may be there
    -- by now: whoever has locked the others before would take it out of order.
    IF cardinality(p_streams) > 1 THEN
        PERFORM FROM unnest(p_streams, p_expected) AS w (id, expected) INNER JOIN streams ON streams.stream_id = w.id
        WHERE w.expected > 0 ORDER BY w.id FOR UPDATE OF streams;
    END IF;
    UPDATE streams
    SET version = w.expected + w.added, head_hash = w.head
    FROM unnest(p_streams, p_expected, p_added, p_heads) AS w (id, expected, added, head)
    WHERE streams.stream_id = w.id AND w.expected > 0 AND streams.version = w.expected;
    GET DIAGNOSTICS moved = ROW_COUNT;

    -- Only now, with the heads ours, positions: so they grow along every stream. All readers wait for this transaction from here on,
    -- so it may neither rest nor last: the server ends it.
    IF cardinality(p_event_ids) > 0 THEN
        done := set_config('idle_in_transaction_session_timeout', '20s', true) || set_config('transaction_timeout', '5min', true);
        SELECT CASE WHEN p.is_called THEN p.last_value ELSE 0 END INTO newest FROM event_positions AS p;
        done := pg_advisory_xact_lock_shared(append_lock(newest));
        positions := ARRAY(SELECT nextval('event_positions') FROM generate_series(1, cardinality(p_event_ids)));
    END IF;

    IF moved < cardinality(p_streams) THEN
        INSERT INTO streams (stream_id, category, version, head_hash, first_position)
        SELECT w.id, w.category, w.added, w.head, positions[array_position(p_event_streams, w.id)]
        FROM unnest(p_streams, p_categories, p_expected, p_added, p_heads) AS w (id, category, expected, added, head)
        WHERE w.expected = 0
          AND NOT EXISTS (SELECT FROM streams AS h WHERE h.stream_id = w.id)  -- else it would wait for who appends to it
        ORDER BY w.id
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS made = ROW_COUNT;
        IF moved + made < cardinality(p_streams) THEN
            RETURN appended_before(p_streams, p_expected, p_added, p_heads, p_event_ids, p_hashes, cardinality(p_command_ids) > 0);
        END IF;
    END IF;
    IF cardinality(p_command_ids) = 0 THEN            -- no command id vouches for the event ids: look into every slice
        PERFORM refuse_known(p_event_ids);
    END IF;

    now := clock_timestamp();
    told := to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    INSERT INTO events (position, event_id, stream_id, version, category, type, schema_version, hash, payload, metadata, recorded_at)
    SELECT e.*, now FROM ROWS FROM (
        unnest(positions, p_event_ids, p_event_streams, p_versions, p_event_categories, p_types, p_schema_versions, p_hashes),
        jsonb_array_elements(p_payloads), jsonb_array_elements(p_metadata)
    ) AS e;
    INSERT INTO outbox (id, topic, key, type, payload, ce_id, ce_type, ce_source, ce_subject, ce_time,
                        traceparent, causation_id, correlation_id, stream_version, position, actor, command, transaction_id)
    SELECT
        o.id, o.topic, o.key, o.type, o.record, o.id, o.type, 'payriver', o.key, told,
        o.metadata ->> 'traceparent', o.metadata ->> 'causation_id', o.metadata ->> 'correlation_id', o.version, o.position,
        o.metadata ->> 'actor', o.metadata ->> 'command', pg_current_xact_id()
    FROM ROWS FROM (
        unnest(positions, p_event_ids, p_event_streams, p_versions, p_types, p_topics, p_records), jsonb_array_elements(p_metadata)
    ) AS o (position, id, key, version, type, topic, record, metadata);

    IF cardinality(p_command_ids) > 0 THEN
        INSERT INTO command_answers (command_id, type, fingerprint, business, answer)
        SELECT c.* FROM ROWS FROM (
            unnest(p_command_ids, p_command_types, p_fingerprints), jsonb_array_elements(p_business), jsonb_array_elements(p_answers)
        ) AS c;
    END IF;
    RETURN positions;
END
$$;

-- Some stream is not where it was expected. The same append again: the positions of the first. Anything else is refused by name. With a
-- command's id, other content is a conflict as any other: decided again, the command is told the answer that its twin has stored.
CREATE FUNCTION appended_before(
    p_streams uuid [], p_expected integer [], p_added integer [], p_heads bytea [], p_event_ids uuid [], p_hashes bytea [],
    p_command boolean
) RETURNS bigint []
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    found     record;
    conflict  record;
BEGIN
    SELECT array_agg(e.position ORDER BY n.place) AS positions, count(e.position) AS known,
           min(n.id::text) FILTER (WHERE e.hash <> n.hash) AS other INTO found
    FROM unnest(p_event_ids, p_hashes) WITH ORDINALITY AS n (id, hash, place) LEFT JOIN events AS e ON e.event_id = n.id;
    IF found.other IS NOT NULL AND NOT p_command THEN
        RAISE EXCEPTION 'event % was appended before with other content', found.other USING ERRCODE = 'PR003', DETAIL = found.other;
    ELSIF found.other IS NULL AND found.known = cardinality(p_event_ids) THEN
        RETURN found.positions;
    END IF;
    SELECT w.id, w.expected, coalesce(h.version, 0) AS actual INTO conflict
    FROM unnest(p_streams, p_expected, p_added, p_heads) AS w (id, expected, added, head)
    LEFT JOIN streams AS h ON h.stream_id = w.id
    ORDER BY h.version IS DISTINCT FROM w.expected + w.added OR h.head_hash IS DISTINCT FROM w.head DESC
    LIMIT 1;
    RAISE EXCEPTION 'stream % is at version %, expected %', conflict.id, conflict.actual, conflict.expected
        USING ERRCODE = 'PR001', DETAIL = concat_ws(' ', conflict.id, conflict.expected, conflict.actual);
END
$$;

-- Raises PR003 if an event of one of these ids is stored.
CREATE FUNCTION refuse_known(p_event_ids uuid []) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    known  uuid;
BEGIN
    SELECT event_id INTO known FROM events WHERE event_id = ANY (p_event_ids) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % was appended before with other content', known USING ERRCODE = 'PR003', DETAIL = known;
    END IF;
END
$$;

-- Orders to another component leave through the same outbox as events do.
CREATE FUNCTION send_commands(
    p_ids uuid [], p_topics text [], p_keys text [], p_types text [], p_records bytea [],
    p_traceparents text [], p_causations text [], p_correlations text []
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO outbox (id, topic, key, type, payload, ce_id, ce_type, ce_source, ce_subject, ce_time,
                        traceparent, causation_id, correlation_id)
    SELECT c.id, c.topic, c.key, c.type, c.record, c.id::text, c.type, 'payriver', c.key,
           to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           c.traceparent, c.causation, c.correlation
    FROM unnest(p_ids, p_topics, p_keys, p_types, p_records, p_traceparents, p_causations, p_correlations)
        AS c (id, topic, key, type, record, traceparent, causation, correlation)
$$;

-- Heads of streams, locked in one order, so that rivals queue on the row and never deadlock.
CREATE FUNCTION lock_streams(p_streams uuid [])
RETURNS TABLE (stream_id uuid, version integer, head_hash bytea)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.stream_id, s.version, s.head_hash FROM streams AS s WHERE s.stream_id = ANY (p_streams) ORDER BY s.stream_id FOR UPDATE
$$;

REVOKE ALL ON FUNCTION
    append_lock, newest_position, appending, read_horizon, append_events, appended_before, refuse_known, send_commands, lock_streams
    FROM public;
GRANT EXECUTE ON FUNCTION append_events, lock_streams TO listener, commands, sagas, submitter, gateway, operator;
GRANT EXECUTE ON FUNCTION send_commands TO sagas, gateway, operator;
GRANT EXECUTE ON FUNCTION read_horizon, newest_position, appending
    TO listener, commands, sagas, submitter, gateway, operator, auditor, projections, notifications;
