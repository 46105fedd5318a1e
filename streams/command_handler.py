"""load -> decide -> append: the one way anything happens to a payment or an account, whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from infra.database import Cursor
from schemas.codec import Codec
from streams.aggregates import State
from streams.domain.circumstances import Policy
from streams.event_store.snapshotter import Snapshotter
from streams.known_states import KnownStates, StateCache
from streams.orders import Order, Outcome
from streams.unit_of_work import UnitOfWork


@dataclass
class CommandHandler:
    """Decides orders on the event store. One for a process, for all its threads: what it keeps is its cache alone.

    `snapshotter`: keeps the states of long streams, in its own time; None: what others kept is used, and nothing is kept.
    """

    codec: Codec
    policy: Policy
    cache: StateCache = field(default_factory=StateCache)
    snapshotter: Snapshotter | None = None

    def handle(
        self, cursor: Cursor, orders: Sequence[Order], *, ahead: bool = False, foreseen: UnitOfWork | None = None
    ) -> list[Outcome]:
        """Decide and append, in the caller's transaction; gives an outcome for each order.

        `ahead`: decide before any stream is locked, and again what has moved by then: for many orders, that others shall not wait for.
        `foreseen`: that was done already.

        Raises CommandIdReused, UnknownType, VersionConflict, TooLate; the caller's transaction must then be rolled back.
        """
        if not orders:
            return []
        if ahead:
            foreseen = self.foresee(cursor, orders)
        unit = self.begin(cursor)
        outcomes = unit.decide(orders, foreseen)
        unit.append()
        return outcomes

    def foresee(self, cursor: Cursor, orders: Sequence[Order], before: UnitOfWork | None = None) -> UnitOfWork:
        """The orders decided ahead, without a lock, for `handle`; after what is foreseen in `before`, where that comes first."""
        unit = self.begin(cursor, locking=False)
        if before is not None:
            unit.follow(before, orders)
        unit.decide(orders)
        return unit

    def begin(self, cursor: Cursor, *, locking: bool = True) -> UnitOfWork:
        """For who decides more than once before it appends, in the caller's transaction."""
        return UnitOfWork(cursor, self.codec, self.policy, KnownStates(self.cache, self.snapshotter), locking)

    def state(self, cursor: Cursor, stream_id: UUID) -> State | None:
        """A stream's present state, unlocked; None where there is no such stream."""
        return self.states(cursor, [stream_id]).get(stream_id)

    def states(self, cursor: Cursor, stream_ids: Sequence[UUID]) -> dict[UUID, State]:
        """The present states of those streams that there are, unlocked."""
        known = KnownStates(self.cache, self.snapshotter)
        return known.states(cursor, *known.look(cursor, stream_ids))
