-- Slices of the outbox whose every row was delivered are dropped whole, by the owner (connectors/debezium/retention.py). What went is kept
-- here: which numbers, when, by whom; the positions of the events that the rows announced; and the orders among them, by name.

CREATE TABLE outbox_drops (
    slice          text PRIMARY KEY,
    first_number   bigint NOT NULL,
    beyond_number  bigint NOT NULL,                   -- the first that it did not hold
    events         bigint NOT NULL,                   -- rows that announced an event
    orders         bigint NOT NULL,                   -- all others
    positions      int8multirange NOT NULL,           -- of those events: runs without a gap, so a few numbers say it
    newest_at      timestamptz,                       -- when its newest row was written; null: it was empty
    delivered_to   pg_lsn NOT NULL,                   -- the connector had come by this place of the log, behind all of its rows
    dropped_by     text NOT NULL,
    dropped_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An order has no position: its id is kept, so that a saga's step, a parked message and a record on a topic still find where it went.
CREATE TABLE dropped_orders (
    id     uuid PRIMARY KEY,
    slice  text NOT NULL REFERENCES outbox_drops (slice),
    topic  text NOT NULL,
    key    text NOT NULL,
    type   text NOT NULL
);

-- The outbox's slices with the numbers that they hold. In use: the newest, the one before it, and those that lie ready.
CREATE FUNCTION outbox_slices()
RETURNS TABLE (slice text, first_number bigint, beyond_number bigint, bytes bigint, in_use boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

REVOKE ALL ON FUNCTION outbox_slices FROM public;
GRANT SELECT ON outbox_drops, dropped_orders TO auditor;
GRANT EXECUTE ON FUNCTION outbox_slices TO auditor;
