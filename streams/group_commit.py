"""Group commit, as databases call it: whoever arrives while others are at work shares the next transaction with all who did.

To begin, plan and commit costs W far more than one item more in a transaction does (infra/decisions/0030). Nobody waits for company: whoever
finds nobody at work goes at once, alone if need be; whoever finds somebody waits for the one transaction that is under way.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from threading import BoundedSemaphore, Lock
from typing import Generic, TypeVar

import structlog
from psycopg2.errors import LockNotAvailable

from infra.database import Cursor
from infra.errors import TooLate

log = structlog.get_logger(__name__)
MOST = 16
"""Items in one transaction."""
PATIENCE_SECONDS = 1.0
"""How long a caller waits for those before it, whatever holds them up; but at most half the time that it has."""
LOCK_MS = 100
"""How long a shared transaction waits for a row that a rival holds: most of what it carries has nothing to do with that row."""
BOUND = f"SET LOCAL lock_timeout = {LOCK_MS}"
PLACES = 3
"""Of those who need a rival's row, so many wait for it at once: each has a connection of which the others have none."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Transact = Callable[[float], AbstractContextManager[Cursor]]
"""A transaction that is over by then (monotonic seconds, or infinity)."""
Work = Callable[[Cursor, Sequence[Item]], Sequence[Result]]
"""Carries items out in the caller's transaction, in their order, and gives a result for each. An item that was carried out before is known by
its id, and changes nothing."""


class _Caller(Generic[Item, Result]):
    """A thread with its item. `called`: held until another lets it go on; `results`: its own one, once that is committed."""

    def __init__(self, item: Item, until: float) -> None:
        self.item, self.until = item, until
        self.leads = False
        self.results: tuple[Result, ...] = ()
        self.called = Lock()
        self.called.acquire()

    def wait(self) -> None:
        """Until it is called, or has lost its patience."""
        self.called.acquire(timeout=min(PATIENCE_SECONDS, max(0.0, (self.until - time.monotonic()) / 2)))


class GroupCommit(Generic[Item, Result]):
    """Called by many threads, each with an item of its own: one of them carries out all that wait, in one transaction.

    Errors are exact. Should that transaction fail, with whatever error, each of its callers carries its own item out in a transaction of its own.
    So does who has waited too long, whatever has become of its item meanwhile. Nobody waits there for who needs a row that a rival holds: those wait
    a few at a time, for as long as they have.
    """

    def __init__(self, transact: Transact, work: Work[Item, Result], most: int = MOST) -> None:
        self._transact, self._work, self._most = transact, work, most
        self._lock = Lock()
        self._waiting: deque[_Caller[Item, Result]] = deque()
        self._at_work = False
        self._places = BoundedSemaphore(PLACES)

    def __call__(self, item: Item, until: float = math.inf) -> Result:
        """The item's result, once it is committed. Raises what a transaction raises that carries out this item and no other, over by `until`.

        Raises TooLate where too many have waited for rivals' rows all the time.
        """
        caller: _Caller[Item, Result] = _Caller(item, until)
        try:
            if not self._leads_at_once(caller):
                self._follow(caller)
            if caller.leads:
                self._lead(caller)
        finally:
            if caller.leads:
                self._pass_on()
        return caller.results[0] if caller.results else self._go_alone(caller)

    def _leads_at_once(self, caller: _Caller[Item, Result]) -> bool:
        """Nobody is at work; else it has its place among those who wait."""
        with self._lock:
            caller.leads = not self._at_work
            self._at_work = True
            if not caller.leads:
                self._waiting.append(caller)
            return caller.leads

    def _follow(self, caller: _Caller[Item, Result]) -> None:
        """Wait for a result, or to lead."""
        try:
            caller.wait()
        finally:
            with self._lock, suppress(ValueError):
                self._waiting.remove(caller)

    def _lead(self, caller: _Caller[Item, Result]) -> None:
        """Carry out all who wait; whatever comes of it, they are called."""
        group = [caller]
        try:
            group += self._followers()
            for each, result in zip(group, self._carry_out(group, BOUND), strict=True):
                each.results = (result,)
        except Exception as error:
            if len(group) == 1 and not isinstance(error, LockNotAvailable):
                raise
            log.info("shared_transaction_failed", items=len(group), error=repr(error))
        finally:
            for each in group[1:]:
                each.called.release()

    def _followers(self) -> list[_Caller[Item, Result]]:
        """Who waits; and who comes, as long as anybody does, when others are let through: as those who have just been told their results."""
        waiting = -1
        while waiting < len(self._waiting) < self._most - 1:
            waiting = len(self._waiting)
            _let_others_through()
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most - 1))]

    def _go_alone(self, caller: _Caller[Item, Result]) -> Result:
        """As if no rival were there; who needs what one holds waits for it, when it has a place."""
        with suppress(LockNotAvailable):
            return self._carry_out([caller], BOUND)[0]
        patience = None if caller.until == math.inf else max(0.0, caller.until - time.monotonic())
        if not self._places.acquire(timeout=patience):
            raise TooLate("others waited for rows that a rival holds, for all the time there was; nothing was done")
        try:
            return self._carry_out([caller])[0]
        finally:
            self._places.release()

    def _carry_out(self, group: Sequence[_Caller[Item, Result]], bound: str = "") -> Sequence[Result]:
        """One transaction; `bound` is its first statement."""
        with self._transact(min(each.until for each in group)) as cursor:
            if bound:
                cursor.postpone(bound)
            return self._work(cursor, [each.item for each in group])

    def _pass_on(self) -> None:
        """Who has waited longest leads; if nobody waits, nobody does."""
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            self._at_work = following is not None
            if following is not None:
                following.leads = True
        if following is not None:
            following.called.release()


def _let_others_through() -> None:
    """Every thread that is ready to run may do so before this one; if none is, it takes no time."""
    time.sleep(0)
