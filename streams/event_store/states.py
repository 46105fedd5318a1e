"""A stream's state as it was at any version: from the newest snapshot that stands on its events, and the events behind that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from infra.database import Cursor
from streams.aggregates import State, fold
from streams.event_store import snapshots, store
from streams.event_store.recorded import RecordedEvent
from streams.event_store.recorder import MAX_VERSION
from streams.event_store.snapshots import Kept
from streams.event_store.store import Head

PAGE = 2000
"""Events that are in memory at once."""
NO_EVENT: RecordedEvent | None = None


@dataclass(frozen=True)
class At:
    """A state and the event that made it so. `folded`: how many events were read for it, the snapshot's own not counted."""

    state: State
    event: RecordedEvent
    folded: int

    @property
    def kept(self) -> Kept:
        """As it is kept in a snapshot."""
        return Kept(self.event.stream_id, self.event.category, Head(self.event.version, self.event.hash), self.state)


def state_at(cursor: Cursor, stream_id: UUID, version: int = MAX_VERSION, *, use_snapshots: bool = True) -> At | None:
    """The stream's state at a version (one that it has not reached yet: its newest); None where there is no such stream."""
    kept = snapshots.load(cursor, {stream_id: version}).get(stream_id) if use_snapshots else None
    at = _from(cursor, stream_id, version, kept) if kept else None
    return at or _from(cursor, stream_id, version, None)


def _from(cursor: Cursor, stream_id: UUID, version: int, kept: Kept | None) -> At | None:
    """Folded on from a snapshot; None where it does not stand on the stream's own event, or where nothing is found."""
    state, last, folded = kept.state if kept else None, NO_EVENT, 0
    for page in _pages(cursor, stream_id, kept.head.version - 1 if kept else 0, version):
        behind = page
        if kept and last is None:
            if page[0].version != kept.head.version or page[0].hash != kept.head.hash:
                return None
            behind = page[1:]
        state = fold(page[0].category, state, (event.message() for event in behind))
        last, folded = page[-1], folded + len(behind)
    return At(state, last, folded) if last is not None else None


def _pages(cursor: Cursor, stream_id: UUID, after: int, up_to: int) -> Iterator[list[RecordedEvent]]:
    while page := store.read_stream(cursor, stream_id, after=after, up_to=min(after + PAGE, up_to)):
        yield page
        after = page[-1].version
        if after >= up_to:
            return
