"""What a stretch of history means and leads to is worked out while the one before it is written: PostgreSQL and Python need not wait for each other.

It is decided on streams as the stretch before will leave them. Should that come to nothing, or anybody else append to one of them, its head
is another than was foreseen, and what was decided on it is decided again.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Engine as Database

from connectors.chain.accounts.directory import Directory
from connectors.chain.listening.booking import Booking, Foreseen, Past
from connectors.chain.listening.meanings import Meanings
from connectors.chain.listening.stretches import Stretch
from infra.database import reading

Told = tuple[Past, Foreseen]


@dataclass(frozen=True)
class _Begun:
    """Work on a stretch that is still to come, by the accounts that were followed when it began."""

    coming: Future[Stretch]
    welcomes: int
    told: Future[Told]

    def is_of(self, stretch: Stretch, welcomes: int) -> bool:
        if self.welcomes != welcomes or self.coming.cancelled() or not self.coming.done():
            return False
        return self.coming.exception() is None and self.coming.result() is stretch


@dataclass
class Ahead:
    """One stretch ahead of the writer, in a thread of its own."""

    database: Database
    meanings: Meanings
    booking: Booking
    _begun: _Begun | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="ahead"))

    def told(self, stretch: Stretch, directory: Directory, welcomes: int, final: int) -> Told:
        """What it means, as `Meanings.past`, and how that is booked. `welcomes`: counts which accounts the directory has."""
        begun, self._begun = self._begun, None
        if begun is not None and begun.is_of(stretch, welcomes):
            return begun.told.result()
        return self.tell(stretch, directory, final)

    def begin(
        self, coming: Future[Stretch] | None, before: Foreseen, directory: Directory, welcomes: int, final: int
    ) -> None:
        """Begin with the stretch that comes next, if it is known, after the one that is about to be written."""
        if coming is not None:
            told = self._pool.submit(lambda: self.tell(coming.result(), directory, final, before))
            self._begun = _Begun(coming, welcomes, told)

    def close(self) -> None:
        """End the thread; the stretches that it may wait for are closed before."""
        self._pool.shutdown(cancel_futures=True)

    def tell(self, stretch: Stretch, directory: Directory, final: int, before: Foreseen | None = None) -> Told:
        """At once, in the caller's thread."""
        past = self.meanings.past(stretch, directory, final)
        with reading(self.database) as cursor:
            return past, self.booking.foresee(cursor, past, before)
