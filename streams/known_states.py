"""States of streams as a process knows them: what it has folded itself, what snapshots keep, and the events since then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from uuid import UUID

from infra.database import Cursor
from streams.aggregates import State, fold
from streams.event_store.look import Look, Seen, look
from streams.event_store.snapshotter import Snapshotter
from streams.event_store.states import state_at
from streams.event_store.store import NOWHERE, Head

Known = tuple[Head, State]


@dataclass
class StateCache:
    """States by stream, each with the version and head hash that it is the fold of. A state is used only if both still hold."""

    size: int = 10_000
    _states: OrderedDict[UUID, Known] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, stream_id: UUID) -> Known | None:
        """What is known of a stream."""
        with self._lock:
            found = self._states.get(stream_id)
            if found is not None:
                self._states.move_to_end(stream_id)
            return found

    def put(self, stream_id: UUID, head: Head, state: State) -> None:
        """Remember a stream's state; the longest unused is forgotten."""
        with self._lock:
            self._states[stream_id] = (head, state)
            self._states.move_to_end(stream_id)
            while len(self._states) > self.size:
                self._states.popitem(last=False)


@dataclass(frozen=True)
class KnownStates:
    """One for a process, for all its threads. `snapshotter`: keeps the states of long streams, in its own time; None: nothing is kept."""

    cache: StateCache
    snapshotter: Snapshotter | None

    def look(
        self, cursor: Cursor, stream_ids: Iterable[UUID], commands: Iterable[UUID] = (), *, lock: bool = False
    ) -> tuple[Look, Mapping[UUID, Known]]:
        """The streams as they stand, asked for with what the cache has of them; and that."""
        known = {each: self.cache.get(each) for each in stream_ids}
        versions = {each: found[0].version if found else 0 for each, found in known.items()}
        return look(cursor, versions, commands, lock=lock), {each: found for each, found in known.items() if found}

    def states(self, cursor: Cursor, seen: Look, known: Mapping[UUID, Known]) -> dict[UUID, State]:
        """The states of all streams that were seen, each at its head."""
        return {each: self._state(cursor, each, of, known.get(each)) for each, of in seen.streams.items()}

    def remember(self, category: str, stream_id: UUID, before: int, head: Head, state: State) -> None:
        """A state that is committed, and the version of which its fold began.

        An event's hash says nothing of those before it: behind what was rolled back, the same event may come again at the same place.
        """
        self.cache.put(stream_id, head, state)
        if self.snapshotter is not None:
            self.snapshotter.offer(category, stream_id, before, head, state)

    def _remember(self, cursor: Cursor, category: str, stream_id: UUID, before: int, head: Head, state: State) -> None:
        told = partial(self.remember, category, stream_id, before, head, state)
        if cursor.in_doubt:
            cursor.once_committed(told)
        else:
            told()

    def _state(self, cursor: Cursor, stream_id: UUID, seen: Seen, known: Known | None) -> State:
        head, state = known or ((seen.kept.head, seen.kept.state) if seen.kept else (NOWHERE, None))
        if head == seen.head:
            return state
        since = seen.since(head)
        if since is None:
            return self._read(cursor, stream_id, seen)
        state = fold(seen.category, state, since)
        self._remember(cursor, seen.category, stream_id, head.version, seen.head, state)
        return state

    def _read(self, cursor: Cursor, stream_id: UUID, seen: Seen) -> State:
        """What is known does not stand, or too little is known: a page of the stream in memory at a time."""
        at = state_at(cursor, stream_id, seen.head.version)
        assert at is not None, "a stream that has a head has events"
        self._remember(cursor, seen.category, stream_id, seen.head.version - at.folded, seen.head, at.state)
        return at.state
