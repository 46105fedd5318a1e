"""One database as it stands at one moment: read only, one snapshot for all questions, large tables a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from psycopg2.extras import register_default_jsonb
from sqlalchemy import Engine

from connectors.verify.settle import ON_WRITE, PAUSE_SECONDS, STORED
from streams.projections.second_copy import MODELS

Row = tuple[Any, ...]
BATCH = 2000
DELIVERIES = "SELECT count(*) FROM deliveries"


@dataclass
class Snapshot:
    """A REPEATABLE READ, READ ONLY transaction on a connection of its own."""

    connection: Any
    _cursors: int = field(default=0)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a question with a small answer."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def one(self, query: str, values: Sequence[Any] = ()) -> Row:
        """The one row."""
        (row,) = self.rows(query, values)
        return row

    def stream(self, query: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a large table, by a server-side cursor; several may be open at once."""
        self._cursors += 1
        with self.connection.cursor(name=f"audit_{self._cursors}") as cursor:
            cursor.itersize = BATCH
            cursor.execute(query, values)
            yield from cursor

    def named(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows of a small table, by column name."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def snapshot(source: Engine, hold: str = "") -> Iterator[Snapshot]:
    """Open a snapshot; its connection leaves the pool, for it reads jsonb in its own way, and ends with the block.

    `hold`: tables that nobody may drop meanwhile, nor a partition of them; what was dropped before is then in the snapshot as dropped.
    A name is looked for in `public` alone, whatever the role or the server was told; and where a row policy would hide rows, a question
    raises psycopg2's InsufficientPrivilege instead of answering with fewer.
    """
    fairy = source.raw_connection()
    fairy.detach()
    connection: Any = fairy.dbapi_connection
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        register_default_jsonb(connection, loads=orjson.loads)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL search_path TO public, pg_temp; SET LOCAL row_security TO off")
            if hold:
                cursor.execute(f"LOCK TABLE {hold} IN ACCESS SHARE MODE")
            # All rows of each cursor are read, so the plan for all rows is the good one.
            cursor.execute("SET LOCAL cursor_tuple_fraction = 1.0; SET LOCAL timezone = 'UTC'; SELECT 1")
        yield Snapshot(connection)
    finally:
        connection.close()


@contextmanager
def pair(write: Engine, read: Engine, patience: float) -> Iterator[tuple[Snapshot, Snapshot]]:
    """Snapshots of W and R of a moment when nothing was on its way, if there is such a moment within `patience` seconds.

    The two servers have no common clock: while events flow, R and the sagas are some milliseconds behind whatever is seen of
    W. Without such a moment the last two are taken, and what was on its way shows as differences.
    """
    until = time.monotonic() + patience
    while True:
        with ExitStack() as opened:
            # R first: what it copied from W is then surely there.
            of_read = opened.enter_context(snapshot(read, hold=", ".join(MODELS)))
            of_write = opened.enter_context(snapshot(write, hold="outbox"))
            if _at_rest(of_write, of_read) or time.monotonic() >= until:
                yield of_write, of_read
                return
        time.sleep(PAUSE_SECONDS)


def _at_rest(write: Snapshot, read: Snapshot) -> bool:
    if write.one(STORED) != read.one(DELIVERIES):
        return False
    return all(write.one(query) == (0,) for query in ON_WRITE.values())


class Aligned:
    """A table read along with another, both in the order of one key: `take` gives a key's rows, and tells of those passed over."""

    def __init__(self, rows: Iterator[Row], key: Callable[[Row], Any], stray: Callable[[Row], None]) -> None:
        self._rows, self._key, self._stray = rows, key, stray
        self._next: Row | None = next(rows, None)

    def take(self, key: Any) -> list[Row]:
        """The rows of this key. Keys must be asked for in order."""
        found: list[Row] = []
        while self._next is not None and self._key(self._next) <= key:
            if self._key(self._next) == key:
                found.append(self._next)
            else:
                self._stray(self._next)
            self._next = next(self._rows, None)
        return found

    def rest(self) -> None:
        """Nothing more is asked for: what is left is astray."""
        while self._next is not None:
            self._stray(self._next)
            self._next = next(self._rows, None)
