-- The memory: streams of events, their outbox, and the answers to commands. One function appends (0009_append.sql); no role updates or deletes.

CREATE TABLE streams (
    stream_id         uuid PRIMARY KEY,
    category          text NOT NULL CHECK (category IN ('account', 'payment')),
    version           integer NOT NULL CHECK (version > 0),
    head_hash         bytea NOT NULL,                 -- the newest event's hash: what a cached state is checked by
    first_position    bigint NOT NULL,                -- of its first event: a reader of the stream looks into no slice below it
    archived_version  integer NOT NULL DEFAULT 0      -- its events up to this version lie in cold partitions
) WITH (fillfactor = 85);                             -- a head is updated in its own page, and touches no index

-- Positions are given out under a lock (0009_append.sql) and one at a time: with a cache, a session could hand out an old one late.
CREATE SEQUENCE event_positions CACHE 1;

-- In slices of positions, so that no index grows without end; within each a hot and a cold partition (open_slices).
-- What no index over all slices can hold is held thus: a position comes from the one sequence; a version from the stream's head,
-- under its lock; an event id follows from its command's id, which command_answers has once.
CREATE TABLE events (
    position        bigint NOT NULL,
    event_id        uuid NOT NULL,
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
    archived        boolean NOT NULL DEFAULT false    -- in the cold partition of its slice
) PARTITION BY RANGE (position);

-- By what an event may be found, besides its stream: read out of what is stored and hashed, so that it can neither drift nor be forged.
CREATE FUNCTION tags_of(payload jsonb, metadata jsonb) RETURNS text []
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN array_remove(ARRAY[
    'account:' || (payload ->> 'account_id'),
    'payment:' || (payload ->> 'payment_id'),
    'card:' || (payload ->> 'card_token'),
    'tx:' || (payload ->> 'tx_hash'),
    'correlation:' || (metadata ->> 'correlation_id')
], null);

-- New entries wait in a short list and are sorted in by the hundred, so that an append hardly notices them.
CREATE INDEX events_tags ON events USING gin (tags_of(payload, metadata)) WITH (fastupdate = on, gin_pending_list_limit = 1024);

-- Slices of the order in which rows were written: old ones can be dropped whole.
CREATE SEQUENCE outbox_numbers;
CREATE TABLE outbox (
    id              uuid NOT NULL,
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
    position        text,
    actor           text,                             -- from here on what else the event's row holds: it comes back from its record as it was
    command         text,
    transaction_id  text,
    number          bigint NOT NULL DEFAULT nextval('outbox_numbers')
) PARTITION BY RANGE (number);

CREATE PUBLICATION outbox_publication FOR TABLE outbox WITH (publish = 'insert', publish_via_partition_root = true);

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

-- What stays empty as long as slices are opened ahead in time. Should nobody do so nothing is refused, and opening moves the rows.
CREATE TABLE events_beyond PARTITION OF events DEFAULT;
CREATE UNIQUE INDEX events_beyond_position ON events_beyond (position);
CREATE UNIQUE INDEX events_beyond_event_id ON events_beyond (event_id);
CREATE UNIQUE INDEX events_beyond_version ON events_beyond (stream_id, version);
CREATE TABLE outbox_beyond PARTITION OF outbox DEFAULT;
CREATE UNIQUE INDEX outbox_beyond_id ON outbox_beyond (id);

-- One leaf of a slice of events, with what is unique within it.
CREATE FUNCTION open_leaf(p_slice text, p_leaf text, p_archived boolean) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L)', p_leaf, p_slice, p_archived);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (position)', p_leaf || '_position', p_leaf);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (event_id)', p_leaf || '_event_id', p_leaf);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (stream_id, version)', p_leaf || '_version', p_leaf);
END
$$;

-- Opens slices of events and of the outbox until p_ahead of each lie empty before the newest row; gives how many were opened.
-- A slice holds 20 million rows. Safe to repeat. A long reader would make it wait, and others behind it: it gives up after 2 seconds.
CREATE FUNCTION open_slices(p_ahead integer DEFAULT 1) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
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

SELECT open_slices();

REVOKE ALL ON FUNCTION open_leaf, open_slices FROM public;
GRANT SELECT ON streams, events, command_answers TO listener, commands, sagas, submitter, gateway, operator, auditor;
GRANT SELECT ON events, streams TO projections, notifications;
GRANT SELECT ON outbox, events_beyond, outbox_beyond TO auditor;
GRANT SELECT ON schema_ids TO listener, commands, sagas, submitter, gateway, operator, auditor, projections, notifications;
