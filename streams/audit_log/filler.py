"""Fills the log and its witness on R, step by step; killed anywhere, it goes on. Several may run: they queue on a lock.

The witness takes an event when the connector has announced it, so whatever is witnessed, and then anchored, stands on a topic too, and comes
back from there should W be put back to an earlier point. Then the log is behind its witness, and takes nothing but what it had taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from infra.database import Cursor, transaction
from infra.errors import Retry
from infra.failpoints import failpoint
from streams.audit_log import log
from streams.event_store import recorder
from streams.event_store.subscription import appending

BATCH = 5_000
PAUSE_SECONDS = 0.1
WITNESSED = "SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_witness"
LEAVES = (
    "SELECT leaf_index, position, hash FROM audit_leaves WHERE leaf_index >= %s AND leaf_index < %s ORDER BY leaf_index"
)
WITNESSES = "SELECT leaf_index, position, hash FROM audit_witness WHERE leaf_index >= %s AND leaf_index < %s ORDER BY leaf_index"
STANDS = """
SELECT pg_current_wal_insert_lsn()::text,
       (SELECT min(confirmed_flush_lsn) >= %s FROM pg_replication_slots WHERE database = current_database())
"""
WITNESS = """
INSERT INTO audit_witness (leaf_index, position, hash)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) ON CONFLICT DO NOTHING
"""

Progress = Callable[[int], None]
"""Told how many events the log has taken."""


@dataclass
class Filler:
    """One filler. `write`: W and `read`: R, both as role audit."""

    write: Engine
    read: Engine
    batch: int = BATCH
    _announced: int = 0
    _mark: tuple[int, str] = (0, "0/0")

    def step(self) -> bool:
        """Once through: take what is settled, bring it to the witness. True if anything was taken."""
        filled = self._fill()
        return self._witness() or filled

    def fill(self) -> None:
        """Take into the log all that is settled, and leave the witness as it is. Raises LogBroken."""
        while self._fill():
            pass

    def catch_up(self, seconds: float, progress: Progress = lambda size: None) -> log.End:
        """Take all that is stored when this is called. Raises Retry where an append holds that up for longer than `seconds`."""
        with transaction(self.write) as cursor:
            wanted, end = log.newest(cursor), log.end(cursor)
        until = time.monotonic() + seconds
        while end.position < wanted:
            if self.step():
                until = time.monotonic() + seconds
            elif time.monotonic() > until:
                raise Retry(self._whom_it_waits_for(wanted, seconds))
            else:
                time.sleep(PAUSE_SECONDS)
            with transaction(self.write) as cursor:
                end = log.end(cursor)
            progress(end.size)
        while self._witnessed() < end.size:
            if self._witness():
                until = time.monotonic() + seconds
            elif time.monotonic() > until:
                raise Retry(
                    f"the connector has not announced all {end.size:,} events within {seconds:g} s: does it run? Try again"
                )
            else:
                time.sleep(PAUSE_SECONDS)
        return end

    def _fill(self) -> bool:
        with transaction(self.write) as cursor:
            settled = recorder.horizon(cursor)
            before = log.end(cursor)
            if settled <= before.position:
                return False
            taken = log.append(cursor, settled, self.batch)
            self._hold_against_the_witness(cursor, before.size)
            failpoint("audit.before_fill_commit")
        failpoint("audit.after_fill_commit")
        return taken > 0

    def _hold_against_the_witness(self, cursor: Cursor, first: int) -> None:
        """W may have been put back to an earlier point: what the log takes again is what it took then. Raises LogBroken."""
        with transaction(self.read) as witness:
            told = _leaves(witness, WITNESSES, first, first + self.batch)
        again = _leaves(cursor, LEAVES, first, first + len(told))
        for had, has in zip(told, again, strict=False):
            if had != has:
                raise log.LogBroken(
                    f"leaf {had[0]} was the event at position {had[1]}, and now it would be another, at {has[1]}: W was put back to an"
                    " earlier point and lacks events. `payriver recover` brings them back, `payriver verify` names what is not as it was"
                )

    def _witness(self) -> bool:
        """Copy announced leaves to R. Only then are they anchored."""
        with transaction(self.read) as witness, transaction(self.write) as source:
            first = _size(witness)
            rows = _leaves(source, LEAVES, first, min(first + self.batch, self._on_topics(source)))
            if rows:
                witness.execute(WITNESS, tuple(list(column) for column in zip(*rows, strict=True)))
            failpoint("audit.before_witness_commit")
        return bool(rows)

    def _on_topics(self, cursor: Cursor) -> int:
        """So many leaves are announced: the connector has come by the place in W's own log at which there were so many. All, where none reads it."""
        size = log.end(cursor).size
        if size < self._mark[0]:  # another log began: of this one nothing is known to be announced
            self._announced, self._mark = 0, (0, "0/0")
        cursor.execute(STANDS, (self._mark[1],))
        ((here, passed),) = cursor.fetchall()
        if passed is None:
            return size
        if passed:
            self._announced, self._mark = self._mark[0], (size, here)
        return self._announced

    def _witnessed(self) -> int:
        with transaction(self.read) as witness:
            return _size(witness)

    def _whom_it_waits_for(self, wanted: int, seconds: float) -> str:
        with transaction(self.write) as cursor:
            found = next((each for each in appending(cursor) if each.above < wanted), None)
        if found is None:
            return f"the log did not come to position {wanted} within {seconds:g} s, and nobody appends below it now: try again"
        return f"the log waits since {seconds:g} s, since an event may still come before others: {found}; try again when it has ended"


def _size(witness: Cursor) -> int:
    witness.execute(WITNESSED)
    ((size,),) = witness.fetchall()
    return int(size)


def _leaves(cursor: Cursor, query: str, start: int, end: int) -> list[tuple[int, int, bytes]]:
    """(index, position, hash) of the leaves [start, end)."""
    cursor.execute(query, (start, end))
    return [(index, position, bytes(digest)) for index, position, digest in cursor.fetchall()]
