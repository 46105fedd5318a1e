"""Catch up with all events and follow them: an iterator over what was stored, which then waits for what comes.

It asks, with a growing pause, and is not told: NOTIFY would make all commits of the server queue behind one lock. What it asks when there
is nothing new is the head of a sequence. When it must wait for an append that does not end, it names the backend in the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import structlog
from sqlalchemy import Engine

from infra.database import Cursor, transaction
from streams.event_store import recorder
from streams.event_store.recorded import RecordedEvent
from streams.event_store.recorder import Filters

log = structlog.get_logger()

BATCH = 1000
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.25
PATIENCE_SECONDS = 5.0
"""An append that all readers have waited for this long is told of, and again after each such time."""


@dataclass(frozen=True)
class Appending:
    """A transaction that appends now. Whatever it adds is above the position `above`, so no reader goes beyond that before it ends."""

    above: int
    pid: int
    role: str | None
    application: str | None
    state: str | None
    seconds: float | None

    def __str__(self) -> str:
        who = f"backend {self.pid} (role {self.role}, {self.application or 'no name'}, {self.state})"
        return f"{who} has been appending above position {self.above} for {self.seconds or 0:.1f} s"


def appending(cursor: Cursor) -> list[Appending]:
    """Who appends just now, the one that readers wait for first."""
    cursor.execute("SELECT above, pid, role, application, state, seconds FROM appending()")
    rows: list[Any] = cursor.fetchall()
    return [Appending(*row) for row in rows]


class Subscription:
    """All events after a position, in the order that all readers see, each once; iterating waits for what is not there yet.

    `stop()`, from any thread, ends the iteration after the event that was told last. Whoever must not be told an event twice after a
    crash keeps `event.position` in the transaction of its own effects, and begins after it.
    """

    def __init__(
        self,
        source: Engine,
        *,
        after: int = 0,
        types: Iterable[str] | None = None,
        categories: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        batch: int = BATCH,
    ) -> None:
        self._source, self._batch = source, batch
        self._chosen = Filters.of(types, categories, tags)
        self._stopped = Event()
        self._waits_since: float | None = None
        self.position = after
        """Everything up to here was told, or is of no interest."""

    def stop(self) -> None:
        """No further event is told; whoever waits is woken."""
        self._stopped.set()

    def __iter__(self) -> Iterator[RecordedEvent]:
        """Events, one by one. Ends only by `stop`."""
        pause = SHORTEST_PAUSE_SECONDS
        while not self._stopped.is_set():
            before = self.position
            for event in self.next_batch():
                if self._stopped.is_set():
                    return
                yield event
            if self.position > before:
                pause = SHORTEST_PAUSE_SECONDS
            else:
                self._stopped.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def next_batch(self) -> list[RecordedEvent]:
        """What is there now beyond `position`, at most a batch; empty: nothing new. A transaction of its own, ended when this returns."""
        with transaction(self._source) as cursor:
            settled = recorder.horizon(cursor)
            self._watch(cursor, settled)
            if settled <= self.position:
                return []
            found = recorder.select_settled(cursor, self.position, settled, limit=self._batch, chosen=self._chosen)
        self.position = found[-1].position if len(found) == self._batch else settled
        return found

    def _watch(self, cursor: Cursor, settled: int) -> None:
        """Waiting is quick, or it is told whom we wait for."""
        if settled > self.position:
            self._waits_since = None
            return
        now = time.monotonic()
        self._waits_since = self._waits_since or now
        if now - self._waits_since < PATIENCE_SECONDS:
            return
        self._waits_since = None
        for each in appending(cursor)[:1]:
            log.warning("readers_wait_for_an_append", position=self.position, pid=each.pid, waits_for=str(each))
