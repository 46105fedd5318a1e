"""Fills the log and its witness on R, step by step; killed anywhere, it goes on. Several may run: they queue on a lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import Retry
from infra.failpoints import failpoint
from streams.audit_log import log
from streams.event_store import recorder
from streams.event_store.subscription import appending

BATCH = 5_000
PAUSE_SECONDS = 0.1
WITNESSED = "SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_witness"
UNWITNESSED = "SELECT leaf_index, position, hash FROM audit_leaves WHERE leaf_index >= %s ORDER BY leaf_index LIMIT %s"
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

    def step(self) -> bool:
        """Once through: take what is settled, bring it to the witness. True if anything was taken."""
        filled = self._fill()
        return self._witness() or filled

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
        while self._witness():
            pass
        return end

    def _fill(self) -> bool:
        with transaction(self.write) as cursor:
            settled = recorder.horizon(cursor)
            if settled <= log.end(cursor).position:
                return False
            taken = log.append(cursor, settled, self.batch)
            failpoint("audit.before_fill_commit")
        failpoint("audit.after_fill_commit")
        return taken > 0

    def _witness(self) -> bool:
        """Copy leaves to R. Only then are they anchored."""
        with transaction(self.read) as witness, transaction(self.write) as source:
            witness.execute(WITNESSED)
            ((size,),) = witness.fetchall()
            source.execute(UNWITNESSED, (size, self.batch))
            rows = source.fetchall()
            if rows:
                witness.execute(WITNESS, tuple(list(column) for column in zip(*rows, strict=True)))
            failpoint("audit.before_witness_commit")
        return bool(rows)

    def _whom_it_waits_for(self, wanted: int, seconds: float) -> str:
        with transaction(self.write) as cursor:
            found = next((each for each in appending(cursor) if each.above < wanted), None)
        if found is None:
            return f"the log did not come to position {wanted} within {seconds:g} s, and nobody appends below it now: try again"
        return f"the log waits since {seconds:g} s, since an event may still come before others: {found}; try again when it has ended"
