"""Writes snapshots behind the back of whoever decides: a thread of its own, a transaction of its own, and nothing waits for it.

What it is offered it may drop: a snapshot saves time, and the next one comes along.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Condition, Thread
from uuid import UUID

import psycopg2
import sqlalchemy.exc
import structlog
from sqlalchemy import Engine

from infra.database import transaction
from streams.aggregates import AGGREGATES, State
from streams.event_store import snapshots
from streams.event_store.snapshots import Kept
from streams.event_store.store import Head

MOST_WAITING = 200
PAUSE_SECONDS = 0.5
"""Between two rounds: one row of a busy stream is enough."""
END_SECONDS = 5.0
"""How long whoever closes it waits for the last round."""

log = structlog.get_logger(__name__)


@dataclass
class Snapshotter:
    """One for a process. `source`: W, as the process's role."""

    source: Engine
    _waiting: dict[UUID, Kept] = field(default_factory=dict)
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None
    _closed: bool = False

    def offer(self, category: str, stream_id: UUID, before: int, head: Head, state: State) -> None:
        """A stream went from version `before` to its head, and that is committed: to be kept, if it is far enough by the aggregate's policy."""
        every = AGGREGATES[category].snapshot_every
        if head.version // every == before // every:
            return
        with self._changed:
            if self._closed or (len(self._waiting) >= MOST_WAITING and stream_id not in self._waiting):
                return
            self._waiting[stream_id] = Kept(stream_id, category, head, state)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="snapshots", daemon=True)
                self._thread.start()
            self._changed.notify()

    def flush(self) -> int:
        """One round: keep what waits and stands on events that are there. Gives how many were kept."""
        with self._changed:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return 0
        try:
            with transaction(self.source) as cursor:
                return len(snapshots.save(cursor, list(waiting.values())))
        except (psycopg2.Error, sqlalchemy.exc.SQLAlchemyError) as error:
            log.warning("snapshots_not_saved", streams=len(waiting), error=str(error))
            return 0

    def close(self) -> None:
        """Keep what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                closed = self._closed
            if not closed:
                time.sleep(PAUSE_SECONDS)
            self.flush()
            if closed:
                return
