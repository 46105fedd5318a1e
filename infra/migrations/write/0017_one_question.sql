-- A command's questions, planned once a connection and not each time; and one where there were two.
-- Rows are found here by their ids alone. A plan that is kept must not read a whole table because it was small, or never counted, when
-- the plan was made: so no plan reads one that can do otherwise.

-- What is asked about streams before anything is decided on them, in one question: their heads; what is known of each beforehand (p_known:
-- the version of the state that the caller has; 0: a snapshot by code of one of these fingerprints, if there is one); the events since then;
-- what was answered to these commands before; and the time and the chain's newest block.
-- Events come with the one known, to see whether it still stands, as [version, type, schema_version, hash, payload]; null where none came
-- since, or more than p_most did: those are for who reads pages.
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
               SELECT json_agg(json_build_array(e.version, e.type, e.schema_version, encode(e.hash, 'hex'), e.payload) ORDER BY e.version)
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

-- Appends to one or several streams, with the outbox rows and the command answers, all or nothing, in one round trip; gives the
-- positions, event by event. Streams come as (id, category, expected version, number of events, new head hash); events in order.
-- p_not_after: refuse (PR002) when this server's clock is past it. A stream that is elsewhere: PR001, with both versions, unless
-- the same events are all there: then the first append's positions. An event id that was used for something else: PR003.
CREATE OR REPLACE FUNCTION append_events(
    p_streams uuid [], p_categories text [], p_expected integer [], p_added integer [], p_heads bytea [],
    p_event_ids uuid [], p_event_streams uuid [], p_versions integer [], p_event_categories text [], p_types text [],
    p_schema_versions smallint [], p_payloads jsonb [], p_metadata jsonb [], p_hashes bytea [],
    p_topics text [], p_records bytea [],
    p_command_ids uuid [], p_command_types text [], p_business jsonb [], p_fingerprints bytea [], p_answers jsonb [],
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
    INSERT INTO events (position, event_id, stream_id, version, category, type, schema_version, payload, metadata, hash, recorded_at)
    SELECT e.*, now FROM unnest(
        positions, p_event_ids, p_event_streams, p_versions, p_event_categories, p_types,
        p_schema_versions, p_payloads, p_metadata, p_hashes
    ) AS e;
    INSERT INTO outbox (id, topic, key, type, payload, ce_id, ce_type, ce_source, ce_subject, ce_time,
                        traceparent, causation_id, correlation_id, stream_version, position, actor, command, transaction_id)
    SELECT
        o.id, o.topic, o.key, o.type, o.record, o.id, o.type, 'payriver', o.key,
        to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        o.metadata ->> 'traceparent', o.metadata ->> 'causation_id', o.metadata ->> 'correlation_id', o.version, o.position,
        o.metadata ->> 'actor', o.metadata ->> 'command', pg_current_xact_id()
    FROM unnest(positions, p_event_ids, p_event_streams, p_versions, p_types, p_metadata, p_topics, p_records)
        AS o (position, id, key, version, type, metadata, topic, record);

    IF cardinality(p_command_ids) > 0 THEN
        INSERT INTO command_answers (command_id, type, business, fingerprint, answer)
        SELECT c.* FROM unnest(p_command_ids, p_command_types, p_business, p_fingerprints, p_answers) AS c;
    END IF;
    RETURN positions;
END
$$;

ALTER FUNCTION lock_streams (uuid []) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION lock_streams (uuid []) SET enable_seqscan = off;
