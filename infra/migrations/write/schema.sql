-- What the numbered steps of this folder end in. Written by `python -m infra.migrations.dump`; a test compares.

CREATE FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
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
        IF current_setting('idle_in_transaction_session_timeout')::interval NOT BETWEEN '1ms' AND '20s' THEN  -- 0: for ever
            done := set_config('idle_in_transaction_session_timeout', '20s', true);
        END IF;
        done := set_config('transaction_timeout', '5min', true);
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

CREATE FUNCTION append_lock(p_above bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((20562)::bigint << 48) | p_above);

CREATE FUNCTION appended_before(p_streams uuid[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_hashes bytea[], p_command boolean) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION appending() RETURNS TABLE(above bigint, pid integer, role text, application text, state text, seconds double precision)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    SELECT min(((l.classid::bigint & 65535) << 32) | l.objid::bigint) AS above, l.pid, a.usename::text, a.application_name, a.state,
           extract(epoch FROM clock_timestamp() - a.xact_start)::double precision
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint >> 16 = 20562 AND l.granted
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    GROUP BY l.pid, a.usename, a.application_name, a.state, a.xact_start
    ORDER BY above
$$;

CREATE FUNCTION archive_streams(p_before timestamp with time zone, p_limit integer, OUT streams_moved integer, OUT events_moved integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION closed_streams(p_before timestamp with time zone) RETURNS TABLE(stream_id uuid, version integer, first_position bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    SELECT s.stream_id, s.version, s.first_position
    FROM streams AS s INNER JOIN sagas AS g ON g.saga_id = s.stream_id
    WHERE s.category = 'payment' AND s.archived_version < s.version AND g.handled = s.version AND g.ended_at < p_before
      AND (SELECT e.recorded_at FROM events AS e
           WHERE e.stream_id = s.stream_id AND e.version = s.version AND e.position >= s.first_position) < p_before
$$;

CREATE FUNCTION drop_snapshots(p_streams uuid[], p_keep bytea[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    WITH dropped AS (
        DELETE FROM snapshots AS s
        WHERE (p_streams IS NULL OR s.stream_id = ANY (p_streams)) AND NOT s.fingerprint = ANY (p_keep)
        RETURNING 1
    )
    SELECT count(*) FROM dropped
$$;

CREATE FUNCTION lock_streams(p_streams uuid[]) RETURNS TABLE(stream_id uuid, version integer, head_hash bytea)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
    SELECT s.stream_id, s.version, s.head_hash FROM streams AS s WHERE s.stream_id = ANY (p_streams) ORDER BY s.stream_id FOR UPDATE
$$;

CREATE FUNCTION log_of(p_data bytea) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (length(p_data) = 97) THEN (encode(SUBSTRING(p_data FROM 10 FOR 16), 'hex'::text))::uuid ELSE NULL::uuid END;

CREATE FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION newest_position() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_positions
$$;

CREATE FUNCTION open_cold() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
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

CREATE FUNCTION open_leaf(p_slice text, p_leaf text, p_archived boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L)', p_leaf, p_slice, p_archived);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (position)', p_leaf || '_position', p_leaf);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (event_id)', p_leaf || '_event_id', p_leaf);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (stream_id, version)', p_leaf || '_version', p_leaf);
END
$$;

CREATE FUNCTION open_slices(p_ahead integer DEFAULT 1) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
DECLARE
    rows    CONSTANT bigint := 20000000;
    opened  integer := 0;
    slice   text;
    number  bigint;
    bounds  text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('open_slices'));
    FOR number IN SELECT generate_series(0, (SELECT last_value FROM event_positions) / rows + p_ahead) LOOP
        slice := format('events_%s', number);
        CONTINUE WHEN to_regclass(slice) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL) PARTITION BY LIST (archived)', slice);
        PERFORM open_leaf(slice, slice || '_hot', false);
        IF EXISTS (SELECT FROM events_beyond AS b WHERE b.archived AND b.position >= number * rows AND b.position < (number + 1) * rows) THEN
            PERFORM open_leaf(slice, slice || '_cold', true);
        END IF;
        bounds := format('FROM (%s) TO (%s)', number * rows, (number + 1) * rows);
        EXECUTE format('WITH late AS (DELETE FROM events_beyond WHERE position >= %s AND position < %s RETURNING *)
                        INSERT INTO %I SELECT * FROM late', number * rows, (number + 1) * rows, slice);
        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES ', slice) || bounds;
        opened := opened + 1;
    END LOOP;
    FOR number IN SELECT generate_series(o.last_value / rows, o.last_value / rows + p_ahead) FROM outbox_numbers AS o LOOP
        slice := format('outbox_%s', number);
        CONTINUE WHEN to_regclass(slice) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE outbox INCLUDING ALL)', slice);
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (id)', slice || '_id', slice);
        bounds := format('FROM (%s) TO (%s)', number * rows, (number + 1) * rows);
        EXECUTE format('WITH late AS (DELETE FROM outbox_beyond WHERE number >= %s AND number < %s RETURNING *)
                        INSERT INTO %I SELECT * FROM late', number * rows, (number + 1) * rows, slice);
        EXECUTE format('ALTER TABLE outbox ATTACH PARTITION %I FOR VALUES ', slice) || bounds;
        opened := opened + 1;
    END LOOP;
    RETURN opened;
END
$$;

CREATE FUNCTION outbox_slices() RETURNS TABLE(slice text, first_number bigint, beyond_number bigint, bytes bigint, in_use boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    WITH slices AS (
        SELECT c.relname::text AS slice, b.bounds[1]::bigint AS first_number, b.bounds[2]::bigint AS beyond_number,
               pg_total_relation_size(c.oid) AS bytes
        FROM pg_inherits AS i INNER JOIN pg_class AS c ON c.oid = i.inhrelid
        CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''(\d+)''\) TO \(''(\d+)''\)') AS b (bounds)
        WHERE i.inhparent = 'outbox'::regclass AND b.bounds IS NOT NULL
    )
    SELECT s.slice, s.first_number, s.beyond_number, s.bytes,
           s.first_number > n.last_value OR (SELECT count(*) FROM slices AS l
                                             WHERE l.first_number > s.first_number AND l.first_number <= n.last_value) < 2
    FROM slices AS s CROSS JOIN outbox_numbers AS n ORDER BY s.first_number
$$;

CREATE FUNCTION read_horizon() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION refuse_known(p_event_ids uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
    known  uuid;
BEGIN
    SELECT event_id INTO known FROM events WHERE event_id = ANY (p_event_ids) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event % was appended before with other content', known USING ERRCODE = 'PR003', DETAIL = known;
    END IF;
END
$$;

CREATE FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) RETURNS SETOF uuid
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION send_commands(p_ids uuid[], p_topics text[], p_keys text[], p_types text[], p_records bytea[], p_traceparents text[], p_causations text[], p_correlations text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    INSERT INTO outbox (id, topic, key, type, payload, ce_id, ce_type, ce_source, ce_subject, ce_time,
                        traceparent, causation_id, correlation_id)
    SELECT c.id, c.topic, c.key, c.type, c.record, c.id::text, c.type, 'payriver', c.key,
           to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           c.traceparent, c.causation, c.correlation
    FROM unnest(p_ids, p_topics, p_keys, p_types, p_records, p_traceparents, p_causations, p_correlations)
        AS c (id, topic, key, type, record, traceparent, causation, correlation)
$$;

CREATE FUNCTION tags_of(payload jsonb, metadata jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_remove(ARRAY[('account:'::text || (payload ->> 'account_id'::text)), ('payment:'::text || (payload ->> 'payment_id'::text)), ('card:'::text || (payload ->> 'card_token'::text)), ('tx:'::text || (payload ->> 'tx_hash'::text)), ('correlation:'::text || (metadata ->> 'correlation_id'::text))], NULL::text);

CREATE TABLE audit_anchors (
    chain_id bigint NOT NULL,
    sender text NOT NULL,
    nonce bigint NOT NULL,
    tree_size bigint NOT NULL,
    root bytea NOT NULL,
    data bytea NOT NULL,
    decided_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT audit_anchors_nonce_check CHECK ((nonce >= 0)),
    CONSTRAINT audit_anchors_root_check CHECK ((length(root) = 32)),
    CONSTRAINT audit_anchors_tree_size_check CHECK ((tree_size > 0))
);

CREATE TABLE audit_closed_leaves (
    log_id uuid NOT NULL,
    leaf_index bigint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE audit_closings (
    log_id uuid NOT NULL,
    next_id uuid NOT NULL,
    record bytea NOT NULL
);

CREATE TABLE audit_leaves (
    leaf_index bigint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_leaves_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT audit_leaves_leaf_index_check CHECK ((leaf_index >= 0))
);

CREATE TABLE audit_log (
    log_id uuid DEFAULT gen_random_uuid() NOT NULL,
    one boolean DEFAULT true NOT NULL,
    CONSTRAINT audit_log_one_check CHECK (one)
);

CREATE TABLE audit_nodes (
    level smallint NOT NULL,
    node_index bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_nodes_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT audit_nodes_level_check CHECK (((level > 0) AND (((level)::integer % 8) = 0))),
    CONSTRAINT audit_nodes_node_index_check CHECK ((node_index >= 0))
);

CREATE TABLE audit_transactions (
    tx_hash text NOT NULL,
    chain_id bigint NOT NULL,
    sender text NOT NULL,
    nonce bigint NOT NULL,
    signed bytea NOT NULL,
    max_fee_wei numeric(78,0) NOT NULL,
    state text NOT NULL,
    block_number bigint,
    block_hash text,
    signed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    broadcast_at timestamp with time zone,
    marked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT audit_transactions_state_check CHECK ((state = ANY (ARRAY['signed'::text, 'broadcast'::text, 'mined'::text, 'final'::text, 'replaced'::text, 'lost'::text])))
);

CREATE TABLE cards (
    card_token text NOT NULL,
    account_id uuid NOT NULL
);

CREATE TABLE chain_backfills (
    chain_id bigint NOT NULL,
    from_block bigint NOT NULL,
    read_block bigint NOT NULL,
    until_block bigint NOT NULL
);

CREATE TABLE chain_blocks (
    chain_id bigint NOT NULL,
    number bigint NOT NULL,
    hash text NOT NULL,
    parent_hash text NOT NULL,
    "time" bigint NOT NULL,
    state text NOT NULL,
    visit integer DEFAULT 1 NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    CONSTRAINT chain_blocks_state_check CHECK ((state = ANY (ARRAY['seen'::text, 'final'::text, 'orphaned'::text])))
);

CREATE TABLE chain_contradictions (
    chain_id bigint NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    times bigint NOT NULL,
    last_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT chain_contradictions_kind_check CHECK ((kind = ANY (ARRAY['drift_observed'::text, 'endpoint_outvoted'::text, 'closed_spend_mined'::text])))
);

CREATE TABLE chain_cursors (
    chain_id bigint NOT NULL,
    seen_number bigint NOT NULL,
    seen_hash text NOT NULL,
    seen_time bigint NOT NULL,
    final_number bigint NOT NULL,
    moved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    holder text,
    lease_until timestamp with time zone,
    welcomes bigint DEFAULT 0 NOT NULL
);

CREATE TABLE chain_intents (
    leg_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    account_id uuid NOT NULL,
    chain_id bigint NOT NULL,
    kind text NOT NULL,
    amount_raw numeric(78,0) NOT NULL,
    target text NOT NULL,
    call_data bytea NOT NULL,
    signer text NOT NULL,
    consumed_hash text,
    state text NOT NULL,
    planned_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    correlation_id text,
    traceparent text,
    invalidates uuid,
    CONSTRAINT chain_intents_invalidates_check CHECK (((kind = 'invalidation'::text) = (invalidates IS NOT NULL))),
    CONSTRAINT chain_intents_kind_check CHECK ((kind = ANY (ARRAY['spend'::text, 'refund'::text, 'invalidation'::text]))),
    CONSTRAINT chain_intents_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'submitted'::text, 'seen'::text, 'final'::text, 'ended_unpaid'::text])))
);

CREATE TABLE chain_modules (
    chain_id bigint NOT NULL,
    module text NOT NULL,
    kind text NOT NULL,
    made_block bigint NOT NULL,
    look_block bigint,
    wallet text,
    verdict text,
    CONSTRAINT chain_modules_kind_check CHECK ((kind = ANY (ARRAY['roles'::text, 'delay'::text])))
);

CREATE TABLE chain_nonces (
    chain_id bigint NOT NULL,
    sender text NOT NULL,
    next_nonce bigint NOT NULL,
    of_others int8multirange DEFAULT '{}'::int8multirange NOT NULL
);

CREATE TABLE chain_sightings (
    sighting_id uuid NOT NULL,
    account_id uuid NOT NULL,
    chain_id bigint NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    block_number bigint NOT NULL,
    block_hash text NOT NULL,
    block_time bigint NOT NULL,
    tx_hash text NOT NULL,
    visit integer NOT NULL,
    detail jsonb NOT NULL,
    sender text,
    nonce numeric(20,0),
    CONSTRAINT chain_sightings_state_check CHECK ((state = ANY (ARRAY['seen'::text, 'unseen'::text, 'final'::text])))
);

CREATE TABLE chain_transactions (
    tx_hash text NOT NULL,
    leg_id uuid NOT NULL,
    chain_id bigint NOT NULL,
    sender text NOT NULL,
    nonce bigint NOT NULL,
    signed bytea NOT NULL,
    max_fee_wei numeric(78,0) NOT NULL,
    state text NOT NULL,
    block_number bigint,
    reason text,
    signed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    marked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    broadcast_at timestamp with time zone,
    looked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT chain_transactions_state_check CHECK ((state = ANY (ARRAY['signed'::text, 'broadcast'::text, 'mined'::text, 'final'::text, 'reverted'::text, 'reverted_final'::text, 'replaced'::text, 'lost'::text])))
);

CREATE TABLE chain_wallets (
    account_id uuid NOT NULL,
    chain_id bigint NOT NULL,
    kind text NOT NULL,
    wallet text NOT NULL,
    token text NOT NULL,
    roles_module text,
    delay_module text,
    opening_block bigint NOT NULL,
    state text DEFAULT 'new'::text NOT NULL,
    queued_block bigint,
    filled_block bigint,
    CONSTRAINT chain_wallets_kind_check CHECK ((kind = ANY (ARRAY['customer'::text, 'settlement'::text]))),
    CONSTRAINT chain_wallets_state_check CHECK ((state = ANY (ARRAY['new'::text, 'followed'::text])))
);

CREATE TABLE checkpoints (
    cluster text NOT NULL,
    topic_id text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    consumer text NOT NULL,
    next_offset bigint NOT NULL,
    moved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT checkpoints_next_offset_check CHECK ((next_offset >= 0)),
    CONSTRAINT checkpoints_partition_check CHECK ((partition >= 0))
);

CREATE TABLE command_answers (
    command_id uuid NOT NULL,
    type text NOT NULL,
    business jsonb NOT NULL,
    fingerprint bytea NOT NULL,
    answer jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE dropped_orders (
    id uuid NOT NULL,
    slice text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    type text NOT NULL
);

CREATE SEQUENCE event_positions
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE events (
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    stream_id uuid NOT NULL,
    version integer NOT NULL,
    category text NOT NULL,
    type text NOT NULL,
    schema_version smallint NOT NULL,
    payload jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    hash bytea NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    CONSTRAINT events_version_check CHECK ((version > 0))
)
PARTITION BY RANGE ("position");

CREATE TABLE events_0 (
    "position" bigint CONSTRAINT events_position_not_null NOT NULL,
    event_id uuid CONSTRAINT events_event_id_not_null NOT NULL,
    stream_id uuid CONSTRAINT events_stream_id_not_null NOT NULL,
    version integer CONSTRAINT events_version_not_null NOT NULL,
    category text CONSTRAINT events_category_not_null NOT NULL,
    type text CONSTRAINT events_type_not_null NOT NULL,
    schema_version smallint CONSTRAINT events_schema_version_not_null NOT NULL,
    payload jsonb CONSTRAINT events_payload_not_null NOT NULL,
    metadata jsonb CONSTRAINT events_metadata_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT events_recorded_at_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT events_transaction_id_not_null NOT NULL,
    hash bytea CONSTRAINT events_hash_not_null NOT NULL,
    archived boolean DEFAULT false CONSTRAINT events_archived_not_null NOT NULL,
    CONSTRAINT events_version_check CHECK ((version > 0))
)
PARTITION BY LIST (archived);

CREATE TABLE events_0_hot (
    "position" bigint CONSTRAINT events_position_not_null NOT NULL,
    event_id uuid CONSTRAINT events_event_id_not_null NOT NULL,
    stream_id uuid CONSTRAINT events_stream_id_not_null NOT NULL,
    version integer CONSTRAINT events_version_not_null NOT NULL,
    category text CONSTRAINT events_category_not_null NOT NULL,
    type text CONSTRAINT events_type_not_null NOT NULL,
    schema_version smallint CONSTRAINT events_schema_version_not_null NOT NULL,
    payload jsonb CONSTRAINT events_payload_not_null NOT NULL,
    metadata jsonb CONSTRAINT events_metadata_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT events_recorded_at_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT events_transaction_id_not_null NOT NULL,
    hash bytea CONSTRAINT events_hash_not_null NOT NULL,
    archived boolean DEFAULT false CONSTRAINT events_archived_not_null NOT NULL,
    CONSTRAINT events_version_check CHECK ((version > 0))
);

CREATE TABLE events_1 (
    "position" bigint CONSTRAINT events_position_not_null NOT NULL,
    event_id uuid CONSTRAINT events_event_id_not_null NOT NULL,
    stream_id uuid CONSTRAINT events_stream_id_not_null NOT NULL,
    version integer CONSTRAINT events_version_not_null NOT NULL,
    category text CONSTRAINT events_category_not_null NOT NULL,
    type text CONSTRAINT events_type_not_null NOT NULL,
    schema_version smallint CONSTRAINT events_schema_version_not_null NOT NULL,
    payload jsonb CONSTRAINT events_payload_not_null NOT NULL,
    metadata jsonb CONSTRAINT events_metadata_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT events_recorded_at_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT events_transaction_id_not_null NOT NULL,
    hash bytea CONSTRAINT events_hash_not_null NOT NULL,
    archived boolean DEFAULT false CONSTRAINT events_archived_not_null NOT NULL,
    CONSTRAINT events_version_check CHECK ((version > 0))
)
PARTITION BY LIST (archived);

CREATE TABLE events_1_hot (
    "position" bigint CONSTRAINT events_position_not_null NOT NULL,
    event_id uuid CONSTRAINT events_event_id_not_null NOT NULL,
    stream_id uuid CONSTRAINT events_stream_id_not_null NOT NULL,
    version integer CONSTRAINT events_version_not_null NOT NULL,
    category text CONSTRAINT events_category_not_null NOT NULL,
    type text CONSTRAINT events_type_not_null NOT NULL,
    schema_version smallint CONSTRAINT events_schema_version_not_null NOT NULL,
    payload jsonb CONSTRAINT events_payload_not_null NOT NULL,
    metadata jsonb CONSTRAINT events_metadata_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT events_recorded_at_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT events_transaction_id_not_null NOT NULL,
    hash bytea CONSTRAINT events_hash_not_null NOT NULL,
    archived boolean DEFAULT false CONSTRAINT events_archived_not_null NOT NULL,
    CONSTRAINT events_version_check CHECK ((version > 0))
);

CREATE TABLE events_beyond (
    "position" bigint CONSTRAINT events_position_not_null NOT NULL,
    event_id uuid CONSTRAINT events_event_id_not_null NOT NULL,
    stream_id uuid CONSTRAINT events_stream_id_not_null NOT NULL,
    version integer CONSTRAINT events_version_not_null NOT NULL,
    category text CONSTRAINT events_category_not_null NOT NULL,
    type text CONSTRAINT events_type_not_null NOT NULL,
    schema_version smallint CONSTRAINT events_schema_version_not_null NOT NULL,
    payload jsonb CONSTRAINT events_payload_not_null NOT NULL,
    metadata jsonb CONSTRAINT events_metadata_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT events_recorded_at_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT events_transaction_id_not_null NOT NULL,
    hash bytea CONSTRAINT events_hash_not_null NOT NULL,
    archived boolean DEFAULT false CONSTRAINT events_archived_not_null NOT NULL,
    CONSTRAINT events_version_check CHECK ((version > 0))
);

CREATE TABLE lost_events (
    event_id uuid NOT NULL,
    stream_id uuid NOT NULL,
    version integer NOT NULL,
    "position" bigint NOT NULL,
    type text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    payload bytea NOT NULL,
    headers jsonb NOT NULL,
    reason text NOT NULL,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE SEQUENCE outbox_numbers
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE outbox (
    id uuid NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    payload bytea NOT NULL,
    ce_specversion text DEFAULT '1.0'::text NOT NULL,
    ce_id text NOT NULL,
    ce_type text NOT NULL,
    ce_source text NOT NULL,
    ce_subject text NOT NULL,
    ce_time text NOT NULL,
    traceparent text,
    causation_id text,
    correlation_id text,
    stream_version text,
    "position" text,
    actor text,
    command text,
    transaction_id text,
    number bigint DEFAULT nextval('outbox_numbers'::regclass) NOT NULL
)
PARTITION BY RANGE (number);

CREATE TABLE outbox_0 (
    id uuid CONSTRAINT outbox_id_not_null NOT NULL,
    topic text CONSTRAINT outbox_topic_not_null NOT NULL,
    key text CONSTRAINT outbox_key_not_null NOT NULL,
    type text CONSTRAINT outbox_type_not_null NOT NULL,
    payload bytea CONSTRAINT outbox_payload_not_null NOT NULL,
    ce_specversion text DEFAULT '1.0'::text CONSTRAINT outbox_ce_specversion_not_null NOT NULL,
    ce_id text CONSTRAINT outbox_ce_id_not_null NOT NULL,
    ce_type text CONSTRAINT outbox_ce_type_not_null NOT NULL,
    ce_source text CONSTRAINT outbox_ce_source_not_null NOT NULL,
    ce_subject text CONSTRAINT outbox_ce_subject_not_null NOT NULL,
    ce_time text CONSTRAINT outbox_ce_time_not_null NOT NULL,
    traceparent text,
    causation_id text,
    correlation_id text,
    stream_version text,
    "position" text,
    actor text,
    command text,
    transaction_id text,
    number bigint DEFAULT nextval('outbox_numbers'::regclass) CONSTRAINT outbox_number_not_null NOT NULL
);

CREATE TABLE outbox_1 (
    id uuid CONSTRAINT outbox_id_not_null NOT NULL,
    topic text CONSTRAINT outbox_topic_not_null NOT NULL,
    key text CONSTRAINT outbox_key_not_null NOT NULL,
    type text CONSTRAINT outbox_type_not_null NOT NULL,
    payload bytea CONSTRAINT outbox_payload_not_null NOT NULL,
    ce_specversion text DEFAULT '1.0'::text CONSTRAINT outbox_ce_specversion_not_null NOT NULL,
    ce_id text CONSTRAINT outbox_ce_id_not_null NOT NULL,
    ce_type text CONSTRAINT outbox_ce_type_not_null NOT NULL,
    ce_source text CONSTRAINT outbox_ce_source_not_null NOT NULL,
    ce_subject text CONSTRAINT outbox_ce_subject_not_null NOT NULL,
    ce_time text CONSTRAINT outbox_ce_time_not_null NOT NULL,
    traceparent text,
    causation_id text,
    correlation_id text,
    stream_version text,
    "position" text,
    actor text,
    command text,
    transaction_id text,
    number bigint DEFAULT nextval('outbox_numbers'::regclass) CONSTRAINT outbox_number_not_null NOT NULL
);

CREATE TABLE outbox_beyond (
    id uuid CONSTRAINT outbox_id_not_null NOT NULL,
    topic text CONSTRAINT outbox_topic_not_null NOT NULL,
    key text CONSTRAINT outbox_key_not_null NOT NULL,
    type text CONSTRAINT outbox_type_not_null NOT NULL,
    payload bytea CONSTRAINT outbox_payload_not_null NOT NULL,
    ce_specversion text DEFAULT '1.0'::text CONSTRAINT outbox_ce_specversion_not_null NOT NULL,
    ce_id text CONSTRAINT outbox_ce_id_not_null NOT NULL,
    ce_type text CONSTRAINT outbox_ce_type_not_null NOT NULL,
    ce_source text CONSTRAINT outbox_ce_source_not_null NOT NULL,
    ce_subject text CONSTRAINT outbox_ce_subject_not_null NOT NULL,
    ce_time text CONSTRAINT outbox_ce_time_not_null NOT NULL,
    traceparent text,
    causation_id text,
    correlation_id text,
    stream_version text,
    "position" text,
    actor text,
    command text,
    transaction_id text,
    number bigint DEFAULT nextval('outbox_numbers'::regclass) CONSTRAINT outbox_number_not_null NOT NULL
);

CREATE TABLE outbox_drops (
    slice text NOT NULL,
    first_number bigint NOT NULL,
    beyond_number bigint NOT NULL,
    events bigint NOT NULL,
    orders bigint NOT NULL,
    positions int8multirange NOT NULL,
    newest_at timestamp with time zone,
    delivered_to pg_lsn NOT NULL,
    dropped_by text NOT NULL,
    dropped_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE parked_messages (
    parked_id uuid NOT NULL,
    consumer text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key text,
    headers jsonb NOT NULL,
    value bytea,
    timestamp_ms bigint NOT NULL,
    state text NOT NULL,
    reason text,
    error text,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    ended_by text,
    end_reason text,
    CONSTRAINT parked_messages_check CHECK (((state = ANY (ARRAY['replayed'::text, 'discarded'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT parked_messages_state_check CHECK ((state = ANY (ARRAY['parked'::text, 'queued'::text, 'replayed'::text, 'discarded'::text])))
);

CREATE TABLE saga_inbox (
    saga_id uuid NOT NULL,
    version integer NOT NULL,
    event_id uuid NOT NULL,
    state text NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT saga_inbox_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'done'::text])))
);

CREATE TABLE saga_steps (
    saga_id uuid NOT NULL,
    step integer NOT NULL,
    input text NOT NULL,
    input_id uuid,
    from_state text NOT NULL,
    to_state text NOT NULL,
    commands jsonb NOT NULL,
    driver text NOT NULL,
    taken_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE saga_timeouts (
    saga_id uuid NOT NULL,
    name text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    CONSTRAINT saga_timeouts_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'fired'::text, 'cancelled'::text])))
);

CREATE TABLE sagas (
    saga_id uuid NOT NULL,
    type text NOT NULL,
    state text NOT NULL,
    handled integer NOT NULL,
    steps integer DEFAULT 0 NOT NULL,
    data jsonb NOT NULL,
    lease_until timestamp with time zone,
    reason text,
    correlation_id text,
    traceparent text,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone
);

CREATE TABLE schema_ids (
    schema_id integer NOT NULL,
    subject text NOT NULL,
    type text NOT NULL,
    schema text NOT NULL,
    fingerprint text NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    text_hash text NOT NULL
);

CREATE TABLE snapshots (
    stream_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    category text NOT NULL,
    version integer NOT NULL,
    head_hash bytea NOT NULL,
    "position" bigint NOT NULL,
    state jsonb NOT NULL,
    digest bytea NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT snapshots_version_check CHECK ((version > 0))
);

CREATE TABLE streams (
    stream_id uuid NOT NULL,
    category text NOT NULL,
    version integer NOT NULL,
    head_hash bytea NOT NULL,
    first_position bigint NOT NULL,
    archived_version integer DEFAULT 0 NOT NULL,
    CONSTRAINT streams_category_check CHECK ((category = ANY (ARRAY['account'::text, 'payment'::text, 'person'::text]))),
    CONSTRAINT streams_version_check CHECK ((version > 0))
)
WITH (fillfactor='85');

CREATE TABLE webhook_actions (
    endpoint_id uuid NOT NULL,
    number integer NOT NULL,
    action text NOT NULL,
    done_by text NOT NULL,
    reason text,
    told jsonb NOT NULL,
    done_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT webhook_actions_action_check CHECK ((action = ANY (ARRAY['registered'::text, 'changed'::text, 'rotated'::text, 'paused'::text, 'enabled'::text, 'disabled'::text, 'removed'::text])))
);

CREATE TABLE webhook_attempts (
    message_id uuid NOT NULL,
    attempt integer NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    duration_ms integer,
    status integer,
    error text
);

CREATE TABLE webhook_endpoints (
    endpoint_id uuid NOT NULL,
    url text NOT NULL,
    event_types text[] NOT NULL,
    state text NOT NULL,
    reason text,
    enabled_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    paused_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    types_since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT webhook_endpoints_state_check CHECK ((state = ANY (ARRAY['enabled'::text, 'disabled'::text, 'removed'::text])))
);

CREATE TABLE webhook_messages (
    message_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    stream_id uuid NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    state text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    replayed_after integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    claimed_until timestamp with time zone,
    reason text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT webhook_messages_check CHECK (((state = 'waiting'::text) = (ended_at IS NULL))),
    CONSTRAINT webhook_messages_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'parked'::text, 'discarded'::text])))
);

CREATE TABLE webhook_secrets (
    endpoint_id uuid NOT NULL,
    number integer NOT NULL,
    secret text,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    signs_until timestamp with time zone,
    CONSTRAINT webhook_secrets_check CHECK (((secret IS NOT NULL) OR (signs_until IS NOT NULL)))
);

ALTER TABLE ONLY events ATTACH PARTITION events_0 FOR VALUES FROM ('0') TO ('20000000');

ALTER TABLE ONLY events_0 ATTACH PARTITION events_0_hot FOR VALUES IN (false);

ALTER TABLE ONLY events ATTACH PARTITION events_1 FOR VALUES FROM ('20000000') TO ('40000000');

ALTER TABLE ONLY events_1 ATTACH PARTITION events_1_hot FOR VALUES IN (false);

ALTER TABLE ONLY events ATTACH PARTITION events_beyond DEFAULT;

ALTER TABLE ONLY outbox ATTACH PARTITION outbox_0 FOR VALUES FROM ('0') TO ('20000000');

ALTER TABLE ONLY outbox ATTACH PARTITION outbox_1 FOR VALUES FROM ('20000000') TO ('40000000');

ALTER TABLE ONLY outbox ATTACH PARTITION outbox_beyond DEFAULT;

ALTER TABLE ONLY audit_anchors
    ADD CONSTRAINT audit_anchors_pkey PRIMARY KEY (chain_id, sender, nonce);

ALTER TABLE ONLY audit_closed_leaves
    ADD CONSTRAINT audit_closed_leaves_pkey PRIMARY KEY (log_id, leaf_index);

ALTER TABLE ONLY audit_closings
    ADD CONSTRAINT audit_closings_next_id_key UNIQUE (next_id);

ALTER TABLE ONLY audit_closings
    ADD CONSTRAINT audit_closings_pkey PRIMARY KEY (log_id);

ALTER TABLE ONLY audit_leaves
    ADD CONSTRAINT audit_leaves_pkey PRIMARY KEY (leaf_index);

ALTER TABLE ONLY audit_leaves
    ADD CONSTRAINT audit_leaves_position_key UNIQUE ("position");

ALTER TABLE ONLY audit_log
    ADD CONSTRAINT audit_log_one_key UNIQUE (one);

ALTER TABLE ONLY audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (log_id);

ALTER TABLE ONLY audit_nodes
    ADD CONSTRAINT audit_nodes_pkey PRIMARY KEY (level, node_index);

ALTER TABLE ONLY audit_transactions
    ADD CONSTRAINT audit_transactions_pkey PRIMARY KEY (tx_hash);

ALTER TABLE ONLY cards
    ADD CONSTRAINT cards_pkey PRIMARY KEY (card_token);

ALTER TABLE ONLY chain_backfills
    ADD CONSTRAINT chain_backfills_pkey PRIMARY KEY (chain_id);

ALTER TABLE ONLY chain_blocks
    ADD CONSTRAINT chain_blocks_pkey PRIMARY KEY (chain_id, hash);

ALTER TABLE ONLY chain_contradictions
    ADD CONSTRAINT chain_contradictions_pkey PRIMARY KEY (chain_id, kind, subject);

ALTER TABLE ONLY chain_cursors
    ADD CONSTRAINT chain_cursors_pkey PRIMARY KEY (chain_id);

ALTER TABLE ONLY chain_intents
    ADD CONSTRAINT chain_intents_consumed_hash_key UNIQUE (consumed_hash);

ALTER TABLE ONLY chain_intents
    ADD CONSTRAINT chain_intents_invalidates_key UNIQUE (invalidates);

ALTER TABLE ONLY chain_intents
    ADD CONSTRAINT chain_intents_pkey PRIMARY KEY (leg_id);

ALTER TABLE ONLY chain_modules
    ADD CONSTRAINT chain_modules_pkey PRIMARY KEY (chain_id, module);

ALTER TABLE ONLY chain_nonces
    ADD CONSTRAINT chain_nonces_pkey PRIMARY KEY (chain_id, sender);

ALTER TABLE ONLY chain_sightings
    ADD CONSTRAINT chain_sightings_pkey PRIMARY KEY (sighting_id, account_id);

ALTER TABLE ONLY chain_transactions
    ADD CONSTRAINT chain_transactions_pkey PRIMARY KEY (tx_hash);

ALTER TABLE ONLY chain_wallets
    ADD CONSTRAINT chain_wallets_chain_id_token_wallet_key UNIQUE (chain_id, token, wallet);

ALTER TABLE ONLY chain_wallets
    ADD CONSTRAINT chain_wallets_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (cluster, topic_id, partition, consumer);

ALTER TABLE ONLY command_answers
    ADD CONSTRAINT command_answers_pkey PRIMARY KEY (command_id);

ALTER TABLE ONLY dropped_orders
    ADD CONSTRAINT dropped_orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY lost_events
    ADD CONSTRAINT lost_events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY outbox_drops
    ADD CONSTRAINT outbox_drops_pkey PRIMARY KEY (slice);

ALTER TABLE ONLY parked_messages
    ADD CONSTRAINT parked_messages_consumer_topic_id_partition_offset_key UNIQUE (consumer, topic_id, partition, "offset");

ALTER TABLE ONLY parked_messages
    ADD CONSTRAINT parked_messages_pkey PRIMARY KEY (parked_id);

ALTER TABLE ONLY saga_inbox
    ADD CONSTRAINT saga_inbox_pkey PRIMARY KEY (saga_id, version);

ALTER TABLE ONLY saga_steps
    ADD CONSTRAINT saga_steps_pkey PRIMARY KEY (saga_id, step);

ALTER TABLE ONLY saga_timeouts
    ADD CONSTRAINT saga_timeouts_pkey PRIMARY KEY (saga_id, name);

ALTER TABLE ONLY sagas
    ADD CONSTRAINT sagas_pkey PRIMARY KEY (saga_id);

ALTER TABLE ONLY schema_ids
    ADD CONSTRAINT schema_ids_pkey PRIMARY KEY (schema_id);

ALTER TABLE ONLY snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (stream_id, fingerprint);

ALTER TABLE ONLY streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (stream_id);

ALTER TABLE ONLY webhook_actions
    ADD CONSTRAINT webhook_actions_pkey PRIMARY KEY (endpoint_id, number);

ALTER TABLE ONLY webhook_attempts
    ADD CONSTRAINT webhook_attempts_pkey PRIMARY KEY (message_id, attempt);

ALTER TABLE ONLY webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (endpoint_id);

ALTER TABLE ONLY webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_url_key UNIQUE (url);

ALTER TABLE ONLY webhook_messages
    ADD CONSTRAINT webhook_messages_endpoint_id_event_id_key UNIQUE (endpoint_id, event_id);

ALTER TABLE ONLY webhook_messages
    ADD CONSTRAINT webhook_messages_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY webhook_secrets
    ADD CONSTRAINT webhook_secrets_pkey PRIMARY KEY (endpoint_id, number);

CREATE INDEX audit_transactions_open ON audit_transactions USING btree (chain_id, sender, nonce) WHERE (state = ANY (ARRAY['signed'::text, 'broadcast'::text, 'mined'::text]));

CREATE INDEX chain_blocks_seen ON chain_blocks USING btree (chain_id, number) WHERE (state = 'seen'::text);

CREATE INDEX chain_intents_open ON chain_intents USING btree (state, planned_at) WHERE (state = ANY (ARRAY['planned'::text, 'submitted'::text]));

CREATE INDEX chain_modules_of ON chain_modules USING btree (chain_id, wallet);

CREATE INDEX chain_modules_to_ask ON chain_modules USING btree (chain_id, look_block) WHERE (look_block IS NOT NULL);

CREATE INDEX chain_sightings_seen ON chain_sightings USING btree (chain_id, block_number) WHERE (state = 'seen'::text);

CREATE INDEX chain_sightings_vanished ON chain_sightings USING btree (chain_id) WHERE ((state = 'unseen'::text) AND (nonce IS NOT NULL));

CREATE INDEX chain_transactions_leg ON chain_transactions USING btree (leg_id);

CREATE INDEX chain_transactions_open ON chain_transactions USING btree (chain_id, sender, nonce) WHERE (state = ANY (ARRAY['signed'::text, 'broadcast'::text, 'mined'::text, 'reverted'::text]));

CREATE INDEX chain_wallets_new ON chain_wallets USING btree (chain_id) WHERE (state = 'new'::text);

CREATE INDEX chain_wallets_queued ON chain_wallets USING btree (chain_id) WHERE (queued_block IS NOT NULL);

CREATE UNIQUE INDEX events_0_hot_event_id ON events_0_hot USING btree (event_id);

CREATE UNIQUE INDEX events_0_hot_position ON events_0_hot USING btree ("position");

CREATE INDEX events_tags ON ONLY events USING gin (tags_of(payload, metadata)) WITH (fastupdate='on', gin_pending_list_limit='1024');

CREATE INDEX events_0_tags_of_idx ON ONLY events_0 USING gin (tags_of(payload, metadata)) WITH (fastupdate='on', gin_pending_list_limit='1024');

CREATE INDEX events_0_hot_tags_of_idx ON events_0_hot USING gin (tags_of(payload, metadata)) WITH (fastupdate='on', gin_pending_list_limit='1024');

CREATE UNIQUE INDEX events_0_hot_version ON events_0_hot USING btree (stream_id, version);

CREATE UNIQUE INDEX events_1_hot_event_id ON events_1_hot USING btree (event_id);

CREATE UNIQUE INDEX events_1_hot_position ON events_1_hot USING btree ("position");

CREATE INDEX events_1_tags_of_idx ON ONLY events_1 USING gin (tags_of(payload, metadata)) WITH (fastupdate='on', gin_pending_list_limit='1024');

CREATE INDEX events_1_hot_tags_of_idx ON events_1_hot USING gin (tags_of(payload, metadata)) WITH (fastupdate='on', gin_pending_list_limit='1024');

CREATE UNIQUE INDEX events_1_hot_version ON events_1_hot USING btree (stream_id, version);

CREATE UNIQUE INDEX events_beyond_event_id ON events_beyond USING btree (event_id);

CREATE UNIQUE INDEX events_beyond_position ON events_beyond USING btree ("position");

CREATE INDEX events_beyond_tags_of_idx ON events_beyond USING gin (tags_of(payload, metadata)) WITH (fastupdate='on', gin_pending_list_limit='1024');

CREATE UNIQUE INDEX events_beyond_version ON events_beyond USING btree (stream_id, version);

CREATE UNIQUE INDEX outbox_0_id ON outbox_0 USING btree (id);

CREATE UNIQUE INDEX outbox_1_id ON outbox_1 USING btree (id);

CREATE UNIQUE INDEX outbox_beyond_id ON outbox_beyond USING btree (id);

CREATE INDEX parked_messages_held ON parked_messages USING btree (consumer, key, "offset") WHERE (state = ANY (ARRAY['parked'::text, 'queued'::text]));

CREATE INDEX saga_inbox_pending ON saga_inbox USING btree (saga_id, version) WHERE (state = 'pending'::text);

CREATE INDEX saga_timeouts_due ON saga_timeouts USING btree (due_at) WHERE (state = 'waiting'::text);

CREATE INDEX sagas_open ON sagas USING btree (state, changed_at) WHERE (ended_at IS NULL);

CREATE INDEX webhook_messages_claimed ON webhook_messages USING btree (endpoint_id) WHERE ((state = 'waiting'::text) AND (claimed_until IS NOT NULL));

CREATE INDEX webhook_messages_due ON webhook_messages USING btree (endpoint_id, next_attempt_at) WHERE (state = 'waiting'::text);

CREATE INDEX webhook_messages_parked ON webhook_messages USING btree (ended_at) WHERE (state = 'parked'::text);

CREATE INDEX webhook_messages_stream ON webhook_messages USING btree (stream_id);

CREATE UNIQUE INDEX webhook_secrets_newest ON webhook_secrets USING btree (endpoint_id) WHERE (signs_until IS NULL);

ALTER INDEX events_0_tags_of_idx ATTACH PARTITION events_0_hot_tags_of_idx;

ALTER INDEX events_tags ATTACH PARTITION events_0_tags_of_idx;

ALTER INDEX events_1_tags_of_idx ATTACH PARTITION events_1_hot_tags_of_idx;

ALTER INDEX events_tags ATTACH PARTITION events_1_tags_of_idx;

ALTER INDEX events_tags ATTACH PARTITION events_beyond_tags_of_idx;

ALTER TABLE ONLY audit_closed_leaves
    ADD CONSTRAINT audit_closed_leaves_log_id_fkey FOREIGN KEY (log_id) REFERENCES audit_closings(log_id);

ALTER TABLE ONLY audit_transactions
    ADD CONSTRAINT audit_transactions_chain_id_sender_nonce_fkey FOREIGN KEY (chain_id, sender, nonce) REFERENCES audit_anchors(chain_id, sender, nonce);

ALTER TABLE ONLY chain_intents
    ADD CONSTRAINT chain_intents_invalidates_fkey FOREIGN KEY (invalidates) REFERENCES chain_intents(leg_id);

ALTER TABLE ONLY chain_transactions
    ADD CONSTRAINT chain_transactions_leg_id_fkey FOREIGN KEY (leg_id) REFERENCES chain_intents(leg_id);

ALTER TABLE ONLY dropped_orders
    ADD CONSTRAINT dropped_orders_slice_fkey FOREIGN KEY (slice) REFERENCES outbox_drops(slice);

ALTER TABLE ONLY webhook_actions
    ADD CONSTRAINT webhook_actions_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints(endpoint_id);

ALTER TABLE ONLY webhook_attempts
    ADD CONSTRAINT webhook_attempts_message_id_fkey FOREIGN KEY (message_id) REFERENCES webhook_messages(message_id);

ALTER TABLE ONLY webhook_messages
    ADD CONSTRAINT webhook_messages_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints(endpoint_id);

ALTER TABLE ONLY webhook_secrets
    ADD CONSTRAINT webhook_secrets_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints(endpoint_id);

CREATE PUBLICATION outbox_publication WITH (publish = 'insert', publish_via_partition_root = true);

ALTER PUBLICATION outbox_publication ADD TABLE ONLY outbox;

REVOKE ALL ON FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) TO listener;
GRANT ALL ON FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) TO commands;
GRANT ALL ON FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) TO sagas;
GRANT ALL ON FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) TO submitter;
GRANT ALL ON FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) TO gateway;
GRANT ALL ON FUNCTION append_events(p_streams uuid[], p_categories text[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_event_streams uuid[], p_versions integer[], p_event_categories text[], p_types text[], p_schema_versions smallint[], p_hashes bytea[], p_payloads jsonb, p_metadata jsonb, p_topics text[], p_records bytea[], p_command_ids uuid[], p_command_types text[], p_fingerprints bytea[], p_business jsonb, p_answers jsonb, p_not_after timestamp with time zone) TO operator;

REVOKE ALL ON FUNCTION append_lock(p_above bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION appended_before(p_streams uuid[], p_expected integer[], p_added integer[], p_heads bytea[], p_event_ids uuid[], p_hashes bytea[], p_command boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION appending() FROM PUBLIC;
GRANT ALL ON FUNCTION appending() TO listener;
GRANT ALL ON FUNCTION appending() TO commands;
GRANT ALL ON FUNCTION appending() TO sagas;
GRANT ALL ON FUNCTION appending() TO submitter;
GRANT ALL ON FUNCTION appending() TO gateway;
GRANT ALL ON FUNCTION appending() TO operator;
GRANT ALL ON FUNCTION appending() TO auditor;
GRANT ALL ON FUNCTION appending() TO projections;
GRANT ALL ON FUNCTION appending() TO notifications;
GRANT ALL ON FUNCTION appending() TO audit;

REVOKE ALL ON FUNCTION archive_streams(p_before timestamp with time zone, p_limit integer, OUT streams_moved integer, OUT events_moved integer) FROM PUBLIC;
GRANT ALL ON FUNCTION archive_streams(p_before timestamp with time zone, p_limit integer, OUT streams_moved integer, OUT events_moved integer) TO operator;

REVOKE ALL ON FUNCTION closed_streams(p_before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION closed_streams(p_before timestamp with time zone) TO operator;

REVOKE ALL ON FUNCTION drop_snapshots(p_streams uuid[], p_keep bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION drop_snapshots(p_streams uuid[], p_keep bytea[]) TO operator;

REVOKE ALL ON FUNCTION lock_streams(p_streams uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION lock_streams(p_streams uuid[]) TO listener;
GRANT ALL ON FUNCTION lock_streams(p_streams uuid[]) TO commands;
GRANT ALL ON FUNCTION lock_streams(p_streams uuid[]) TO sagas;
GRANT ALL ON FUNCTION lock_streams(p_streams uuid[]) TO submitter;
GRANT ALL ON FUNCTION lock_streams(p_streams uuid[]) TO gateway;
GRANT ALL ON FUNCTION lock_streams(p_streams uuid[]) TO operator;

REVOKE ALL ON FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) TO listener;
GRANT ALL ON FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) TO commands;
GRANT ALL ON FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) TO sagas;
GRANT ALL ON FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) TO submitter;
GRANT ALL ON FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) TO gateway;
GRANT ALL ON FUNCTION look(p_streams uuid[], p_known integer[], p_fingerprints bytea[], p_most integer, p_commands uuid[], p_lock boolean) TO operator;

REVOKE ALL ON FUNCTION newest_position() FROM PUBLIC;
GRANT ALL ON FUNCTION newest_position() TO listener;
GRANT ALL ON FUNCTION newest_position() TO commands;
GRANT ALL ON FUNCTION newest_position() TO sagas;
GRANT ALL ON FUNCTION newest_position() TO submitter;
GRANT ALL ON FUNCTION newest_position() TO gateway;
GRANT ALL ON FUNCTION newest_position() TO operator;
GRANT ALL ON FUNCTION newest_position() TO auditor;
GRANT ALL ON FUNCTION newest_position() TO projections;
GRANT ALL ON FUNCTION newest_position() TO notifications;
GRANT ALL ON FUNCTION newest_position() TO audit;

REVOKE ALL ON FUNCTION open_cold() FROM PUBLIC;
GRANT ALL ON FUNCTION open_cold() TO operator;

REVOKE ALL ON FUNCTION open_leaf(p_slice text, p_leaf text, p_archived boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION open_slices(p_ahead integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION outbox_slices() FROM PUBLIC;
GRANT ALL ON FUNCTION outbox_slices() TO auditor;

REVOKE ALL ON FUNCTION read_horizon() FROM PUBLIC;
GRANT ALL ON FUNCTION read_horizon() TO listener;
GRANT ALL ON FUNCTION read_horizon() TO commands;
GRANT ALL ON FUNCTION read_horizon() TO sagas;
GRANT ALL ON FUNCTION read_horizon() TO submitter;
GRANT ALL ON FUNCTION read_horizon() TO gateway;
GRANT ALL ON FUNCTION read_horizon() TO operator;
GRANT ALL ON FUNCTION read_horizon() TO auditor;
GRANT ALL ON FUNCTION read_horizon() TO projections;
GRANT ALL ON FUNCTION read_horizon() TO notifications;
GRANT ALL ON FUNCTION read_horizon() TO audit;

REVOKE ALL ON FUNCTION refuse_known(p_event_ids uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) TO listener;
GRANT ALL ON FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) TO commands;
GRANT ALL ON FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) TO sagas;
GRANT ALL ON FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) TO submitter;
GRANT ALL ON FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) TO gateway;
GRANT ALL ON FUNCTION save_snapshots(p_streams uuid[], p_fingerprints bytea[], p_categories text[], p_versions integer[], p_heads bytea[], p_states jsonb[], p_digests bytea[]) TO operator;

REVOKE ALL ON FUNCTION send_commands(p_ids uuid[], p_topics text[], p_keys text[], p_types text[], p_records bytea[], p_traceparents text[], p_causations text[], p_correlations text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION send_commands(p_ids uuid[], p_topics text[], p_keys text[], p_types text[], p_records bytea[], p_traceparents text[], p_causations text[], p_correlations text[]) TO sagas;
GRANT ALL ON FUNCTION send_commands(p_ids uuid[], p_topics text[], p_keys text[], p_types text[], p_records bytea[], p_traceparents text[], p_causations text[], p_correlations text[]) TO gateway;
GRANT ALL ON FUNCTION send_commands(p_ids uuid[], p_topics text[], p_keys text[], p_types text[], p_records bytea[], p_traceparents text[], p_causations text[], p_correlations text[]) TO operator;

GRANT SELECT,INSERT ON TABLE audit_anchors TO audit;
GRANT SELECT ON TABLE audit_anchors TO auditor;
GRANT SELECT ON TABLE audit_anchors TO gateway;

GRANT SELECT ON TABLE audit_closed_leaves TO auditor;

GRANT SELECT ON TABLE audit_closings TO audit;
GRANT SELECT ON TABLE audit_closings TO auditor;
GRANT SELECT ON TABLE audit_closings TO gateway;

GRANT SELECT,INSERT ON TABLE audit_leaves TO audit;
GRANT SELECT ON TABLE audit_leaves TO auditor;
GRANT SELECT ON TABLE audit_leaves TO gateway;

GRANT SELECT ON TABLE audit_log TO audit;
GRANT SELECT ON TABLE audit_log TO auditor;
GRANT SELECT ON TABLE audit_log TO gateway;

GRANT SELECT,INSERT ON TABLE audit_nodes TO audit;
GRANT SELECT ON TABLE audit_nodes TO auditor;
GRANT SELECT ON TABLE audit_nodes TO gateway;

GRANT SELECT,INSERT ON TABLE audit_transactions TO audit;
GRANT SELECT ON TABLE audit_transactions TO auditor;
GRANT SELECT ON TABLE audit_transactions TO gateway;

GRANT UPDATE(state) ON TABLE audit_transactions TO audit;

GRANT UPDATE(block_number) ON TABLE audit_transactions TO audit;

GRANT UPDATE(block_hash) ON TABLE audit_transactions TO audit;

GRANT UPDATE(broadcast_at) ON TABLE audit_transactions TO audit;

GRANT UPDATE(marked_at) ON TABLE audit_transactions TO audit;

GRANT SELECT ON TABLE cards TO gateway;
GRANT SELECT ON TABLE cards TO auditor;
GRANT SELECT,INSERT ON TABLE cards TO operator;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_backfills TO listener;
GRANT SELECT ON TABLE chain_backfills TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_blocks TO listener;
GRANT SELECT ON TABLE chain_blocks TO auditor;
GRANT SELECT ON TABLE chain_blocks TO gateway;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_contradictions TO listener;
GRANT SELECT ON TABLE chain_contradictions TO gateway;
GRANT SELECT ON TABLE chain_contradictions TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_cursors TO listener;
GRANT SELECT ON TABLE chain_cursors TO submitter;
GRANT SELECT ON TABLE chain_cursors TO gateway;
GRANT SELECT ON TABLE chain_cursors TO commands;
GRANT SELECT ON TABLE chain_cursors TO sagas;
GRANT SELECT ON TABLE chain_cursors TO operator;
GRANT SELECT ON TABLE chain_cursors TO auditor;

GRANT SELECT,UPDATE ON TABLE chain_intents TO listener;
GRANT SELECT,INSERT,UPDATE ON TABLE chain_intents TO submitter;
GRANT SELECT ON TABLE chain_intents TO auditor;
GRANT SELECT,INSERT ON TABLE chain_intents TO operator;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_modules TO listener;
GRANT SELECT ON TABLE chain_modules TO operator;
GRANT SELECT ON TABLE chain_modules TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_nonces TO submitter;
GRANT SELECT ON TABLE chain_nonces TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_sightings TO listener;
GRANT SELECT ON TABLE chain_sightings TO submitter;
GRANT SELECT ON TABLE chain_sightings TO auditor;

GRANT SELECT ON TABLE chain_transactions TO listener;
GRANT SELECT,INSERT,UPDATE ON TABLE chain_transactions TO submitter;
GRANT SELECT ON TABLE chain_transactions TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE chain_wallets TO listener;
GRANT SELECT,INSERT ON TABLE chain_wallets TO operator;
GRANT SELECT ON TABLE chain_wallets TO submitter;
GRANT SELECT ON TABLE chain_wallets TO gateway;
GRANT SELECT ON TABLE chain_wallets TO commands;
GRANT SELECT ON TABLE chain_wallets TO sagas;
GRANT SELECT ON TABLE chain_wallets TO auditor;

GRANT SELECT,UPDATE ON TABLE checkpoints TO commands;
GRANT SELECT,UPDATE ON TABLE checkpoints TO sagas;
GRANT SELECT,UPDATE ON TABLE checkpoints TO notifications;
GRANT SELECT,UPDATE ON TABLE checkpoints TO submitter;
GRANT SELECT,INSERT,UPDATE ON TABLE checkpoints TO operator;
GRANT SELECT ON TABLE checkpoints TO auditor;

GRANT SELECT ON TABLE command_answers TO listener;
GRANT SELECT ON TABLE command_answers TO commands;
GRANT SELECT ON TABLE command_answers TO sagas;
GRANT SELECT ON TABLE command_answers TO submitter;
GRANT SELECT ON TABLE command_answers TO gateway;
GRANT SELECT ON TABLE command_answers TO operator;
GRANT SELECT ON TABLE command_answers TO auditor;

GRANT SELECT ON TABLE dropped_orders TO auditor;

GRANT SELECT ON TABLE events TO listener;
GRANT SELECT ON TABLE events TO commands;
GRANT SELECT ON TABLE events TO sagas;
GRANT SELECT ON TABLE events TO submitter;
GRANT SELECT ON TABLE events TO gateway;
GRANT SELECT ON TABLE events TO operator;
GRANT SELECT ON TABLE events TO auditor;
GRANT SELECT ON TABLE events TO projections;
GRANT SELECT ON TABLE events TO notifications;
GRANT SELECT ON TABLE events TO audit;

GRANT SELECT ON TABLE events_beyond TO auditor;

GRANT SELECT ON TABLE lost_events TO listener;
GRANT SELECT ON TABLE lost_events TO commands;
GRANT SELECT ON TABLE lost_events TO sagas;
GRANT SELECT ON TABLE lost_events TO submitter;
GRANT SELECT ON TABLE lost_events TO gateway;
GRANT SELECT ON TABLE lost_events TO operator;
GRANT SELECT ON TABLE lost_events TO auditor;
GRANT SELECT ON TABLE lost_events TO projections;
GRANT SELECT ON TABLE lost_events TO notifications;

GRANT SELECT ON TABLE outbox TO auditor;

GRANT SELECT ON TABLE outbox_beyond TO auditor;

GRANT SELECT ON TABLE outbox_drops TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE parked_messages TO commands;
GRANT SELECT,INSERT,UPDATE ON TABLE parked_messages TO sagas;
GRANT SELECT,INSERT,UPDATE ON TABLE parked_messages TO notifications;
GRANT SELECT,INSERT,UPDATE ON TABLE parked_messages TO submitter;
GRANT SELECT,INSERT,UPDATE ON TABLE parked_messages TO operator;
GRANT SELECT ON TABLE parked_messages TO auditor;

GRANT SELECT(state) ON TABLE parked_messages TO gateway;

GRANT SELECT,INSERT,UPDATE ON TABLE saga_inbox TO sagas;
GRANT SELECT,INSERT,UPDATE ON TABLE saga_inbox TO gateway;
GRANT SELECT,INSERT,UPDATE ON TABLE saga_inbox TO operator;
GRANT SELECT ON TABLE saga_inbox TO auditor;

GRANT SELECT,INSERT ON TABLE saga_steps TO sagas;
GRANT SELECT,INSERT ON TABLE saga_steps TO gateway;
GRANT SELECT,INSERT ON TABLE saga_steps TO operator;
GRANT SELECT ON TABLE saga_steps TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE saga_timeouts TO sagas;
GRANT SELECT,INSERT,UPDATE ON TABLE saga_timeouts TO gateway;
GRANT SELECT,INSERT,UPDATE ON TABLE saga_timeouts TO operator;
GRANT SELECT ON TABLE saga_timeouts TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE sagas TO sagas;
GRANT SELECT,INSERT,UPDATE ON TABLE sagas TO gateway;
GRANT SELECT,INSERT,UPDATE ON TABLE sagas TO operator;
GRANT SELECT ON TABLE sagas TO auditor;

GRANT SELECT ON TABLE schema_ids TO listener;
GRANT SELECT ON TABLE schema_ids TO commands;
GRANT SELECT ON TABLE schema_ids TO sagas;
GRANT SELECT ON TABLE schema_ids TO submitter;
GRANT SELECT ON TABLE schema_ids TO gateway;
GRANT SELECT ON TABLE schema_ids TO operator;
GRANT SELECT ON TABLE schema_ids TO auditor;
GRANT SELECT ON TABLE schema_ids TO projections;
GRANT SELECT ON TABLE schema_ids TO notifications;

GRANT SELECT ON TABLE snapshots TO listener;
GRANT SELECT ON TABLE snapshots TO commands;
GRANT SELECT ON TABLE snapshots TO sagas;
GRANT SELECT ON TABLE snapshots TO submitter;
GRANT SELECT ON TABLE snapshots TO gateway;
GRANT SELECT ON TABLE snapshots TO operator;
GRANT SELECT ON TABLE snapshots TO auditor;

GRANT SELECT ON TABLE streams TO listener;
GRANT SELECT ON TABLE streams TO commands;
GRANT SELECT ON TABLE streams TO sagas;
GRANT SELECT ON TABLE streams TO submitter;
GRANT SELECT ON TABLE streams TO gateway;
GRANT SELECT ON TABLE streams TO operator;
GRANT SELECT ON TABLE streams TO auditor;
GRANT SELECT ON TABLE streams TO projections;
GRANT SELECT ON TABLE streams TO notifications;

GRANT SELECT,INSERT ON TABLE webhook_actions TO operator;
GRANT SELECT,INSERT ON TABLE webhook_actions TO sender;
GRANT SELECT ON TABLE webhook_actions TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE webhook_attempts TO sender;
GRANT SELECT ON TABLE webhook_attempts TO operator;
GRANT SELECT ON TABLE webhook_attempts TO auditor;

GRANT SELECT ON TABLE webhook_endpoints TO sender;
GRANT SELECT,INSERT,UPDATE ON TABLE webhook_endpoints TO operator;

GRANT SELECT(endpoint_id) ON TABLE webhook_endpoints TO notifications;
GRANT SELECT(endpoint_id) ON TABLE webhook_endpoints TO auditor;

GRANT SELECT(url) ON TABLE webhook_endpoints TO auditor;

GRANT SELECT(event_types) ON TABLE webhook_endpoints TO notifications;
GRANT SELECT(event_types) ON TABLE webhook_endpoints TO auditor;

GRANT SELECT(state) ON TABLE webhook_endpoints TO notifications;
GRANT UPDATE(state) ON TABLE webhook_endpoints TO sender;
GRANT SELECT(state) ON TABLE webhook_endpoints TO auditor;

GRANT UPDATE(reason) ON TABLE webhook_endpoints TO notifications;
GRANT UPDATE(reason) ON TABLE webhook_endpoints TO sender;
GRANT SELECT(reason) ON TABLE webhook_endpoints TO auditor;

GRANT SELECT(enabled_at) ON TABLE webhook_endpoints TO notifications;
GRANT SELECT(enabled_at) ON TABLE webhook_endpoints TO auditor;

GRANT UPDATE(paused_until) ON TABLE webhook_endpoints TO sender;
GRANT SELECT(paused_until) ON TABLE webhook_endpoints TO auditor;

GRANT SELECT(created_at) ON TABLE webhook_endpoints TO auditor;

GRANT SELECT(types_since) ON TABLE webhook_endpoints TO auditor;

GRANT SELECT,INSERT ON TABLE webhook_messages TO notifications;
GRANT SELECT,UPDATE ON TABLE webhook_messages TO sender;
GRANT SELECT,INSERT,UPDATE ON TABLE webhook_messages TO operator;
GRANT SELECT ON TABLE webhook_messages TO auditor;

GRANT SELECT(state) ON TABLE webhook_messages TO gateway;

GRANT SELECT,INSERT ON TABLE webhook_secrets TO operator;
GRANT SELECT ON TABLE webhook_secrets TO sender;

GRANT SELECT(endpoint_id) ON TABLE webhook_secrets TO auditor;

GRANT SELECT(number) ON TABLE webhook_secrets TO auditor;

GRANT UPDATE(secret) ON TABLE webhook_secrets TO operator;
GRANT UPDATE(secret) ON TABLE webhook_secrets TO sender;

GRANT SELECT(made_at) ON TABLE webhook_secrets TO auditor;

GRANT UPDATE(signs_until) ON TABLE webhook_secrets TO operator;
GRANT SELECT(signs_until) ON TABLE webhook_secrets TO auditor;
