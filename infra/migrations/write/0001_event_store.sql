-- The memory: streams of events, their outbox, and the answers to commands. One function appends; nothing updates or deletes.

CREATE TABLE streams (
    stream_id  uuid PRIMARY KEY,
    category   text NOT NULL CHECK (category IN ('account', 'payment')),
    version    integer NOT NULL CHECK (version > 0),
    head_hash  bytea NOT NULL                         -- the newest event's hash: what a cached state is checked by
);

CREATE TABLE events (
    position        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        uuid NOT NULL UNIQUE,
    stream_id       uuid NOT NULL,
    version         integer NOT NULL CHECK (version > 0),
    category        text NOT NULL,
    type            text NOT NULL,
    schema_version  smallint NOT NULL,
    payload         jsonb NOT NULL,
    metadata        jsonb NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction_id  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    hash            bytea NOT NULL,                   -- sha256 over RFC 8785 JSON of id, stream, version, type, payload, metadata
    UNIQUE (stream_id, version)
);

CREATE INDEX events_transaction ON events (transaction_id, position);  -- a reader of all events goes by it, and skips none

CREATE TABLE outbox (
    id              uuid PRIMARY KEY,
    topic           text NOT NULL,
    key             text NOT NULL,
    type            text NOT NULL,
    payload         bytea NOT NULL,
    ce_specversion  text NOT NULL DEFAULT '1.0',
    ce_id           text NOT NULL,
    ce_type         text NOT NULL,
    ce_source       text NOT NULL,
    ce_subject      text NOT NULL,
    ce_time         text NOT NULL,
    traceparent     text,
    causation_id    text,
    correlation_id  text,
    stream_version  text,
    position        text
);

CREATE PUBLICATION outbox_publication FOR TABLE outbox WITH (publish = 'insert');

CREATE TABLE command_answers (
    command_id   uuid PRIMARY KEY,
    type         text NOT NULL,
    business     jsonb NOT NULL,                      -- the order's business fields: what a repeat must agree with
    fingerprint  bytea NOT NULL,                      -- sha256 over their RFC 8785 form
    answer       jsonb NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE schema_ids (
    schema_id    integer PRIMARY KEY,
    subject      text NOT NULL,
    type         text NOT NULL,
    schema       text NOT NULL,
    fingerprint  text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Appends to one or several streams, with the outbox rows and the command answers, all or nothing, in one round trip.
-- Streams come as (id, category, expected version, number of events, new head hash); events in order; commands for other
-- components as ready outbox rows. p_not_after: refuse (PR002) when this server's clock is past it.
CREATE FUNCTION append_events(
    p_streams uuid [], p_categories text [], p_expected integer [], p_added integer [], p_heads bytea [],
    p_event_ids uuid [], p_event_streams uuid [], p_versions integer [], p_event_categories text [], p_types text [],
    p_schema_versions smallint [], p_payloads jsonb [], p_metadata jsonb [], p_hashes bytea [],
    p_topics text [], p_records bytea [],
    p_command_ids uuid [], p_command_types text [], p_business jsonb [], p_fingerprints bytea [], p_answers jsonb [],
    p_not_after timestamptz
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    last      bigint;
    conflict  record;
BEGIN
    IF p_not_after IS NOT NULL AND clock_timestamp() > p_not_after THEN
        RAISE EXCEPTION 'the deadline % has passed', p_not_after USING ERRCODE = 'PR002';
    END IF;

    INSERT INTO streams (stream_id, category, version, head_hash)
    SELECT s.id, s.category, s.added, s.head
    FROM unnest(p_streams, p_categories, p_expected, p_added, p_heads) AS s (id, category, expected, added, head)
    WHERE s.expected = 0
    ORDER BY s.id
    ON CONFLICT DO NOTHING;

    UPDATE streams
    SET version = s.expected + s.added, head_hash = s.head
    FROM unnest(p_streams, p_expected, p_added, p_heads) AS s (id, expected, added, head)
    WHERE streams.stream_id = s.id AND s.expected > 0 AND streams.version = s.expected;

    SELECT s.id, s.expected, coalesce(h.version, 0) AS actual INTO conflict
    FROM unnest(p_streams, p_expected, p_added, p_heads) AS s (id, expected, added, head)
    LEFT JOIN streams AS h ON h.stream_id = s.id
    WHERE h.version IS DISTINCT FROM s.expected + s.added OR h.head_hash IS DISTINCT FROM s.head
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'stream % is at version %, expected %', conflict.id, conflict.actual, conflict.expected
            USING ERRCODE = 'PR001', DETAIL = concat_ws(' ', conflict.id, conflict.expected, conflict.actual);
    END IF;

    WITH stored AS (
        INSERT INTO events (event_id, stream_id, version, category, type, schema_version, payload, metadata, hash)
        SELECT e.* FROM unnest(
            p_event_ids, p_event_streams, p_versions, p_event_categories, p_types,
            p_schema_versions, p_payloads, p_metadata, p_hashes
        ) AS e
        RETURNING event_id, stream_id, version, type, metadata, recorded_at, position
    ), records AS (
        SELECT * FROM unnest(p_event_ids, p_topics, p_records) AS r (event_id, topic, record)
    ), published AS (
        INSERT INTO outbox (id, topic, key, type, payload, ce_id, ce_type, ce_source, ce_subject, ce_time,
                            traceparent, causation_id, correlation_id, stream_version, position)
        SELECT
            s.event_id, r.topic, s.stream_id::text, s.type, r.record, s.event_id::text, s.type, 'payriver', s.stream_id::text,
            to_char(s.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            s.metadata ->> 'traceparent', s.metadata ->> 'causation_id', s.metadata ->> 'correlation_id',
            s.version::text, s.position::text
        FROM stored AS s INNER JOIN records AS r USING (event_id)
        ORDER BY s.position
    )
    SELECT max(stored.position) INTO last FROM stored;

    INSERT INTO command_answers (command_id, type, business, fingerprint, answer)
    SELECT c.* FROM unnest(p_command_ids, p_command_types, p_business, p_fingerprints, p_answers) AS c;

    RETURN last;
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

REVOKE ALL ON FUNCTION append_events, send_commands, lock_streams FROM public;
GRANT EXECUTE ON FUNCTION append_events, lock_streams TO listener, commands, sagas, submitter, gateway, operator;
GRANT EXECUTE ON FUNCTION send_commands TO sagas, gateway, operator;
GRANT SELECT ON streams, events, command_answers TO listener, commands, sagas, submitter, gateway, operator, auditor;
GRANT SELECT ON events, streams TO projections, notifications;
GRANT SELECT ON outbox TO auditor;
GRANT SELECT ON schema_ids TO listener, commands, sagas, submitter, gateway, operator, auditor, projections, notifications;
