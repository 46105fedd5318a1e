"""Slices of the outbox that were delivered long ago are dropped whole, by the database's owner; what went is written down.

A slice goes when nothing can need a row of it again: the connector has come by all of them, R holds every event of them as delivered, and
every order among them was carried out or ended by a person. Numbers are given out in order, but a transaction may write a low one late: so
it is not numbers or clocks that decide, but locks and the place in W's log (0022-slices-hot-and-cold.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg2.errors
from sqlalchemy import Engine

from connectors.debezium.register import SLOT
from infra.database import Cursor, transaction
from infra.errors import Misconfigured, Retry

Progress = Callable[[str], None]
"""Told what is done now, in words."""
CARRIED_OUT = """(
    EXISTS (SELECT FROM command_answers AS a WHERE a.command_id = o.id)
    OR EXISTS (SELECT FROM chain_intents AS i WHERE i.payment_id::text = o.key
               AND CASE i.kind WHEN 'invalidation' THEN 'InvalidateSpend' ELSE 'Submit' || initcap(i.kind) END = o.type)
)"""
"""Of a row `o` of the outbox that announces no event."""
SLICES = "SELECT slice, first_number, beyond_number, bytes, in_use FROM outbox_slices()"
OF_SLICE = "o.number >= %(first)s AND o.number < %(beyond)s"
NOT_AN_EVENT = "NOT EXISTS (SELECT FROM events AS e WHERE e.event_id = o.id)"
COUNT = f"""
SELECT count(*), (max(o.ce_time COLLATE "C"))::timestamptz FROM outbox AS o WHERE {OF_SLICE}
"""
EVENTS = f"""
WITH announced AS (
    SELECT e.position, e.position - row_number() OVER (ORDER BY e.position) AS island
    FROM outbox AS o INNER JOIN events AS e ON e.event_id = o.id WHERE {OF_SLICE}
), runs AS (SELECT count(*) AS events, int8range(min(position), max(position), '[]') AS run FROM announced GROUP BY island)
SELECT coalesce(sum(events), 0)::bigint, coalesce(range_agg(run), '{{}}')::text FROM runs
"""
OPEN_ORDERS = f"SELECT o.id::text, o.type FROM outbox AS o WHERE {OF_SLICE} AND {NOT_AN_EVENT} AND NOT {CARRIED_OUT}"
PARKED = """
SELECT headers ->> 'ce_id', bool_and(state IN ('replayed', 'discarded')) FROM parked_messages WHERE headers ->> 'ce_id' = ANY(%s) GROUP BY 1
"""
DELIVERED = """
SELECT count(*) FROM unnest(%s::int8multirange) AS r (run)
INNER JOIN deliveries AS d ON d.position >= lower(r.run) AND d.position < upper(r.run) WHERE d.topic IS NOT NULL
"""
HERE = "SELECT clock_timestamp(), pg_current_wal_insert_lsn()::text"
COME_BY = """
SELECT wal_status, confirmed_flush_lsn >= %(place)s::pg_lsn, pg_wal_lsn_diff(%(place)s::pg_lsn, confirmed_flush_lsn)::bigint
FROM pg_replication_slots WHERE slot_name = %(slot)s AND database = current_database()
"""
OPEN_SINCE = """
SELECT pid, usename::text, application_name, xact_start FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start < %s
ORDER BY xact_start LIMIT 1
"""
KEEP = """
INSERT INTO outbox_drops (slice, first_number, beyond_number, events, orders, positions, newest_at, delivered_to, dropped_by)
VALUES (%(name)s, %(first)s, %(beyond)s, %(events)s, %(orders)s, %(positions)s, %(newest)s, %(place)s, %(by)s)
"""
KEEP_ORDERS = f"""
INSERT INTO dropped_orders (id, slice, topic, key, type)
SELECT o.id, %(name)s, o.topic, o.key, o.type FROM outbox AS o WHERE {OF_SLICE} AND {NOT_AN_EVENT}
"""
PAUSE_SECONDS = 0.2
NO_SLOT = f"no slot {SLOT} that the connector reads: nobody can tell what was delivered; `payriver recover` first"


@dataclass(frozen=True)
class Slice:
    """A slice of the outbox: the numbers [first, beyond), its size in bytes, what its rows are. `stays`: why it does; empty: it goes."""

    name: str
    first: int
    beyond: int
    bytes: int
    stays: str = ""
    events: int = 0
    orders: int = 0
    newest: datetime | None = None
    positions: str = "{}"


@dataclass(frozen=True)
class Retention:
    """`write`, `read`: W and R as role owner, W's without a limit on how long a transaction may rest. `patience_seconds`: for the slot."""

    write: Engine
    read: Engine
    patience_seconds: float = 30.0

    def look(self, before: datetime, progress: Progress) -> Iterator[Slice]:
        """Every slice, oldest first, and whether it would go; changes nothing."""
        yield from self._each(before, progress, lambda slice_: self._judged(slice_, before))

    def drop(self, before: datetime, by: str, progress: Progress) -> Iterator[Slice]:
        """The same, and those that go are gone, each in a transaction of its own. `by`: who drops them.

        Raises Misconfigured where there is no slot; Retry while the slot is behind, a transaction is open that began before the slice was
        looked at, or somebody reads the outbox.
        """
        yield from self._each(before, progress, lambda slice_: self._drop(slice_, before, by, progress))

    def _each(self, before: datetime, progress: Progress, take: Callable[[Slice], Slice]) -> Iterator[Slice]:
        """None is younger than one before it: at the first that is too young the rest need not be read."""
        young = False
        for found, in_use in self._slices():
            if in_use or young:
                yield replace(found, stays="in use" if in_use else "younger")
                continue
            progress(f"reading {found.name}")
            taken = take(found)
            young = taken.newest is not None and taken.newest >= before
            yield taken

    def _slices(self) -> list[tuple[Slice, bool]]:
        with transaction(self.write) as cursor:
            cursor.execute(SLICES)
            return [(Slice(*row[:4]), row[4]) for row in cursor.fetchall()]

    def _judged(self, found: Slice, before: datetime) -> Slice:
        with transaction(self.write) as cursor:
            seen = self._seen(cursor, found, before)
            cursor.execute(COME_BY, {"place": "0/0", "slot": SLOT})
            return seen if cursor.fetchall() else replace(seen, stays=seen.stays or NO_SLOT)

    def _drop(self, found: Slice, before: datetime, by: str, progress: Progress) -> Slice:
        with transaction(self.write) as cursor:
            _lock(cursor, f"LOCK TABLE {found.name} IN SHARE MODE", "2s", f"somebody writes {found.name} just now")
            # Nobody writes to the slice from here on, and all that did have ended before this place.
            cursor.execute(HERE)
            began, place = cursor.fetchall()[0]
            seen = self._seen(cursor, found, before)
            if seen.stays:
                return seen
            progress(f"waiting for the connector to come by {found.name}, and for older transactions to end")
            self._wait(cursor, place, began)
            _write_down(cursor, seen, place, by)
            reads = "somebody reads the outbox just now (payriver verify, a dump)"
            _lock(cursor, "LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE", "500ms", reads)
            cursor.execute(f"DROP TABLE {found.name}")
            return seen

    def _seen(self, cursor: Cursor, found: Slice, before: datetime) -> Slice:
        """What lies in it, and what keeps it."""
        bounds = {"first": found.first, "beyond": found.beyond}
        cursor.execute(COUNT, bounds)
        rows, newest = cursor.fetchall()[0]
        seen = replace(found, newest=newest)
        if newest is not None and newest >= before:
            return replace(seen, stays=f"its newest row is of {newest.astimezone(UTC):%Y-%m-%d %H:%M}")
        cursor.execute(EVENTS, bounds)
        events, positions = cursor.fetchall()[0]
        seen = replace(seen, events=events, orders=rows - events, positions=positions)
        cursor.execute(OPEN_ORDERS, bounds)
        return replace(seen, stays=self._open_order(cursor, cursor.fetchall()) or self._undelivered(seen))

    def _open_order(self, cursor: Cursor, orders: list[tuple[Any, ...]]) -> str:
        """An order that nobody carried out is the last copy of it, once the topics have forgotten it."""
        if not orders:
            return ""
        ids = [row[0] for row in orders]
        cursor.execute(PARKED, (ids,))
        told = cursor.fetchall()
        with transaction(self.read) as of_read:
            of_read.execute(PARKED, (ids,))
            told += of_read.fetchall()
        ended, waiting = ({ce_id for ce_id, is_over in told if is_over is wanted} for wanted in (True, False))
        left = [f"{kind} {order}" for order, kind in orders if order not in ended - waiting]
        return f"{len(left)} orders were not carried out, the first {left[0]}" if left else ""

    def _undelivered(self, seen: Slice) -> str:
        with transaction(self.read) as cursor:
            cursor.execute(DELIVERED, (seen.positions,))
            missing = seen.events - cursor.fetchall()[0][0]
        return f"{missing} events of it were not delivered to R" if missing else ""

    def _wait(self, cursor: Cursor, place: str, began: datetime) -> None:
        """Until the connector has confirmed what was written before this place, and whoever began before this time has ended."""
        until = time.monotonic() + self.patience_seconds
        while waits := _behind(cursor, place) or _open_since(cursor, began):
            if time.monotonic() > until:
                raise Retry(f"{waits} after {self.patience_seconds:g} s. Nothing was dropped")
            time.sleep(PAUSE_SECONDS)


def _behind(cursor: Cursor, place: str) -> str:
    """What the connector has not confirmed yet; its heartbeat moves a quiet one on. Raises Misconfigured where there is no slot."""
    cursor.execute(COME_BY, {"place": place, "slot": SLOT})
    found = cursor.fetchall()
    if not found or found[0][0] == "lost":
        raise Misconfigured(f"{NO_SLOT}. Nothing was dropped")
    _, come_by, missing = found[0]
    return "" if come_by else f"the slot {SLOT} is {missing:,} bytes behind"


def _open_since(cursor: Cursor, began: datetime) -> str:
    """Who may still read the outbox as it was, and would find rows gone that its snapshot says are there."""
    cursor.execute(OPEN_SINCE, (began,))
    told = [
        f"backend {pid} ({role}, {application or 'unnamed'}) has a transaction open since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        for pid, role, application, since in cursor.fetchall()
    ]
    return told[0] if told else ""


def _lock(cursor: Cursor, statement: str, patience: str, because: str) -> None:
    """Whoever waits for this lock has others wait behind it: so it gives up soon. Raises Retry."""
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", (patience,))
    try:
        cursor.execute(statement)
    except psycopg2.errors.LockNotAvailable as error:
        raise Retry(f"{because}; again, when they are done. Nothing was dropped") from error


def _write_down(cursor: Cursor, seen: Slice, place: str, by: str) -> None:
    told = {"name": seen.name, "first": seen.first, "beyond": seen.beyond, "place": place, "by": by}
    told |= {"events": seen.events, "orders": seen.orders, "positions": seen.positions, "newest": seen.newest}
    cursor.execute(KEEP, told)
    cursor.execute(KEEP_ORDERS, told)
