"""Slices of the outbox that were dropped: what was written down of them, held against the events and against what orders led to.

The rows themselves are gone, and that they said what their events say can no longer be looked at: the result states it (`skipped`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from uuid import UUID

from connectors.verify.snapshot import Row
from connectors.verify.walk import Context, Event

DROPS = """
SELECT slice, first_number, beyond_number, events, orders, newest_at, dropped_at, dropped_by,
       to_regclass(slice) IS NOT NULL, delivered_to <= pg_current_wal_lsn() FROM outbox_drops ORDER BY first_number
"""
SIZE = "SELECT max(beyond_number - first_number) FROM outbox_slices()"
RUNS = """
SELECT d.slice, lower(r.run), upper(r.run) FROM outbox_drops AS d, unnest(d.positions) AS r (run) ORDER BY lower(r.run)
"""
ORDERS = """
SELECT d.id, d.slice, d.topic, d.key, d.type, a.type
FROM dropped_orders AS d LEFT JOIN command_answers AS a ON a.command_id = d.id ORDER BY d.id
"""
WENT = """
SELECT id::text FROM dropped_orders WHERE id = ANY(%s::uuid[])
UNION ALL
SELECT e.event_id::text FROM events AS e WHERE e.event_id = ANY(%s::uuid[])
AND EXISTS (SELECT FROM outbox_drops AS d WHERE d.positions @> e.position)
"""


class Dropped:
    """Which rows are no longer there, and rightly so."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._drops = context.write.rows(DROPS)
        self._runs: dict[str, tuple[list[int], list[int]]] = {row[0]: ([], []) for row in self._drops}
        for slice_, first, beyond in context.write.rows(RUNS):
            for ends, place in zip(self._runs[slice_], (first, beyond), strict=True):
                ends.append(place)
        self._events = Counter[str]()
        self._newest: dict[str, datetime] = {}

    def holds(self, event: Event) -> bool:
        """Whether the row that announced the event went with a slice; each event is asked of once. Announced again, it has another."""
        slices = [
            slice_ for slice_, (firsts, beyonds) in self._runs.items() if _within(firsts, beyonds, event.position)
        ]
        for slice_ in slices:
            self._events[slice_] += 1
            self._newest[slice_] = max(event.recorded_at, self._newest.get(slice_, event.recorded_at))
        self._findings.checked["events whose outbox row was dropped"] += bool(slices) and event.outbox is None
        return bool(slices)

    def went(self, ids: list[UUID]) -> set[str]:
        """Those of these message ids whose row went with a slice."""
        return {row[0] for row in self._context.write.rows(WENT, (ids, ids))} if self._drops and ids else set()

    def finish(self, is_done: Callable[[Row], bool]) -> None:
        """All events were asked of. `is_done`: whether an order (id, topic, key, type, its answer's type) was carried out, or ended."""
        if not self._drops:
            return
        orders = Counter[str]()
        for order_id, slice_, topic, key, kind, answered in self._context.write.stream(ORDERS):
            orders[slice_] += 1
            if not is_done((order_id, topic, key, kind, answered)):
                about = f"{slice_} was dropped with this order, which was not carried out: nobody has it any more"
                self._findings.differ("dropped_orders", order_id, f"{kind} to {topic} for {key}", "carried out", about)
        (size,) = self._context.write.one(SIZE)
        for row in self._drops:
            self._drop(row, orders, size)

    def _drop(self, row: Row, orders: Counter[str], size: int) -> None:
        slice_, first, beyond, events, given, newest, dropped_at, by, is_there, come_by = row
        expect = partial(self._findings.expect, "outbox_drops", slice_)
        self._findings.checked["dropped slices of the outbox"] += 1
        expect(is_there, False, "the slice that it says was dropped is there")
        expect(first % size, 0, "column first_number: no slice begins there")
        expect(beyond, first + size, "column beyond_number: the slice ends elsewhere")
        expect(slice_, f"outbox_{first // size}", "column slice: its numbers are those of another")
        expect(events, self._events[slice_], "column events: so many of the events stored are at its positions")
        expect(given, orders[slice_], "column orders: so many are kept by name")
        expect(come_by, True, "column delivered_to: W's log has not come so far")
        if slice_ in self._newest and not (newest is not None and self._newest[slice_] <= newest < dropped_at):
            about = "column newest_at: not between its newest event and when it was dropped"
            self._findings.differ("outbox_drops", slice_, newest, self._newest[slice_], about)
        self._findings.skipped.append(
            f"outbox rows {first:,} to {beyond - 1:,} ({events:,} events, {given:,} orders): dropped {dropped_at:%Y-%m-%d %H:%M} UTC by {by}"
        )


def _within(firsts: list[int], beyonds: list[int], position: int) -> bool:
    place = bisect_right(firsts, position) - 1
    return place >= 0 and position < beyonds[place]
