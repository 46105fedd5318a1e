"""A little database, its one door, and threads that come to it: for tests of who shares a transaction with whom."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg2
from psycopg2.errors import LockNotAvailable

from streams.group_commit import GroupCommit


@dataclass(frozen=True)
class Item:
    """`fails`: what its transaction meets; `locked`: its row is a rival's, so that a transaction that is in a hurry gives up."""

    name: Any
    fails: BaseException | None = None
    locked: bool = False


@dataclass
class Transaction:
    """What GroupCommit asks of a cursor."""

    until: float
    bounds: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def postpone(self, statement: str) -> None:
        self.bounds.append(statement)


@dataclass
class Books:
    """A little database: what a transaction says is there once it is committed, and each name once. `commits`: of each transaction, its names."""

    commits: list[list[Any]] = field(default_factory=list)
    sharing: int = 0
    most_sharing: int = 0  # at once
    begun: list[Transaction] = field(default_factory=list)
    lost: int = 0  # so many commits are done, and their callers not told
    gate: threading.Event = field(default_factory=threading.Event)
    shut: Any = None  # a transaction that carries this waits at the gate
    within: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def transact(self, until: float) -> Iterator[Any]:  # a Transaction, where GroupCommit knows our own cursor
        transaction = Transaction(until)
        with self._lock:
            self.begun.append(transaction)
        yield transaction
        with self._lock:
            known = set(self.names())
            self.commits.append([each.name for each in transaction.items if each.name not in known])
            self.lost -= 1
            if self.lost >= 0:
                raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def work(self, cursor: Any, items: Sequence[Item]) -> list[str]:
        cursor.items += items
        with self._sharing(cursor):
            return self._work(cursor, items)

    def _work(self, cursor: Any, items: Sequence[Item]) -> list[str]:
        if any(each.name == self.shut for each in items):
            self.within.set()
            assert self.gate.wait(20)
        for each in items:
            if each.locked and cursor.bounds:
                raise LockNotAvailable
            if each.fails:
                raise each.fails
        return [f"of {each.name}" for each in items]

    @contextmanager
    def _sharing(self, cursor: Any) -> Iterator[None]:
        with self._lock:
            self.sharing += len(cursor.items) > 1
            self.most_sharing = max(self.most_sharing, self.sharing)
        try:
            yield
        finally:
            with self._lock:
                self.sharing -= len(cursor.items) > 1

    def names(self) -> list[Any]:
        return [name for commit in self.commits for name in commit]


@dataclass
class Office:
    """Books, their one door, and threads that come to it."""

    books: Books = field(default_factory=Books)
    most: int = 32
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32))

    def __post_init__(self) -> None:
        self.door: GroupCommit[Item, str] = GroupCommit(self.books.transact, self.books.work, self.most)

    def come(self, item: Item, until: float = math.inf) -> Future[str]:
        return self.threads.submit(self.door, item, until)

    def hold_up(self, first: Item) -> Future[str]:
        """Somebody is at work, and will be until the gate opens."""
        self.books.shut = first.name
        leading = self.come(first)
        assert self.books.within.wait(5)
        return leading

    def queue(self, items: Sequence[Item]) -> list[Future[str]]:
        """They come one after the other, while somebody is at work."""
        coming = []
        for count, item in enumerate(items, 1):
            coming.append(self.come(item))
            until(partial(self._wait, count))
        return coming

    def _wait(self, count: int) -> bool:
        return len(self.door._waiting) == count


def until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)
