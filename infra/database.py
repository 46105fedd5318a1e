"""Connections to PostgreSQL: an engine a process, a transaction a unit of work, as few round trips as it can do with. psycopg2 is the one driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
from pydantic import SecretStr
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from infra.errors import Misconfigured

psycopg2.extras.register_uuid()  # type: ignore[no-untyped-call]

BEGIN, COMMIT = b"BEGIN", "COMMIT"


class Cursor(psycopg2.extensions.cursor):
    """A transaction's cursor. What is postponed goes with the next statement, in its round trip; should it fail, so does that one.

    Only `execute`, and what is built on it, is of the transaction: COPY and `executemany` pass what is postponed by, BEGIN among it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._postponed: list[bytes] = []
        self._waiting: list[Callable[[], None]] = []

    def postpone(self, statement: str | bytes, values: Any = None) -> None:
        """For a statement whose result nobody needs."""
        self._postponed.append(self.mogrify(statement, values))

    def postpone_values(self, statement: str, rows: Sequence[Sequence[Any]], row: str = "") -> None:
        """The same for a statement over `VALUES %s`. `row`: how one is written, where not all its values are written as they are."""
        if rows:
            template = row or f"({', '.join(['%s'] * len(rows[0]))})"
            head, tail = statement.encode().split(b"%s")
            self._postponed.append(head + b", ".join([self.mogrify(template, each) for each in rows]) + tail)

    def execute(self, query: Any, vars: Any = None) -> None:
        """As psycopg2's, with all that was postponed before it; what is fetched is this one's."""
        if self._postponed:
            query, vars = b";".join([*self._postponed, self.mogrify(query, vars)]), None
            self._postponed.clear()
        super().execute(query, vars)

    def once_committed(self, work: Callable[[], None]) -> None:
        """To be done when all of the transaction has come true, and else never."""
        self._waiting.append(work)

    @property
    def in_doubt(self) -> bool:
        """Whether something waits for the commit: what is read from then on may be of this transaction alone."""
        return bool(self._waiting)

    def commit(self) -> None:
        """Raises InFailedSqlTransaction where a statement failed before and nobody undid it: that would be a rollback without a word."""
        if self._postponed != [BEGIN]:
            self.execute(COMMIT)
            if self.statusmessage != COMMIT:
                raise psycopg2.errors.InFailedSqlTransaction(
                    "a statement of this transaction failed; nothing was committed"
                )
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            work()

    def rollback(self) -> None:
        """Nothing of it happened."""
        self._postponed.clear()
        self._waiting.clear()
        if self.connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            self.execute("ROLLBACK")


POOL_SECONDS = 1.0
"""How long a thread waits for a connection, where it has that long."""
FROZEN_SECONDS = 20
"""A process that is frozen inside a transaction holds its rows no longer than this; thawed, it commits nothing (SQLSTATE 25P03)."""


_patience: ContextVar[float] = ContextVar("seconds that a connection is waited for", default=POOL_SECONDS)


class Pool(QueuePool):
    """SQLAlchemy's, which knows one patience a pool and not each caller's. It reads this name of its own where it waits; a test holds that."""

    @property
    def _timeout(self) -> float:
        return _patience.get()

    @_timeout.setter
    def _timeout(self, _: float) -> None:
        pass


def engine(
    url: SecretStr | str,
    *,
    pool_size: int = 5,
    application_name: str = "payriver",
    frozen_seconds: int = FROZEN_SECONDS,
    seldom: bool = False,
    schema: str = "",
) -> Engine:
    """A pool of connections to `postgresql://role:password@host:port/database`; opens none until it is used. Raises Misconfigured.

    `frozen_seconds`: how long a transaction may rest between two statements; 0: for ever, for who reads and thinks.
    `seldom`: used so seldom, as by a person, that a connection is asked whether it still lives before each use, and opened again where not.
    `schema`: where tables are looked for and made, and nowhere else; empty: as the server says.
    """
    return create_engine(
        _address(url.get_secret_value() if isinstance(url, SecretStr) else url).set(drivername="postgresql+psycopg2"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=seldom,
        pool_recycle=1800,
        poolclass=Pool,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 5,
            "options": f"-c idle_in_transaction_session_timeout={frozen_seconds}s"
            + f" -c search_path={schema}" * bool(schema),
        },
    )


def _address(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise Misconfigured(
            "a database's address cannot be read; write postgresql://role:password@host:port/database, and what is special in a "
            "password as %XX (RFC 3986)"
        ) from None  # what was told holds a password


@contextmanager
def transaction(source: Engine, patience: float = POOL_SECONDS) -> Iterator[Cursor]:
    """One transaction: commits at the end of the block, rolls back when it raises. A broken connection leaves the pool.

    Raises sqlalchemy's TimeoutError where no connection is free within `patience` seconds, nor within a second.
    """
    with _borrowed(source, patience) as (connection, cursor):
        cursor.postpone(BEGIN)
        try:
            yield cursor
            cursor.commit()
        except BaseException:
            _undo(connection, cursor)
            raise


@contextmanager
def reading(source: Engine, patience: float = POOL_SECONDS) -> Iterator[Cursor]:
    """For who asks and writes nothing: each question is a transaction of its own, and two round trips shorter for that. `patience`: as above."""
    with _borrowed(source, patience) as (_, cursor):
        yield cursor


@contextmanager
def _borrowed(source: Engine, patience: float) -> Iterator[tuple[Any, Cursor]]:
    """A connection of the pool and a cursor on it, in no transaction."""
    connection = _connection(source, patience)
    driver = connection.dbapi_connection
    try:
        driver.autocommit = True  # else it would begin in a round trip of its own
        with connection.cursor(cursor_factory=Cursor) as cursor:
            yield connection, cursor
    finally:
        _give_back(connection, driver)


def _connection(source: Engine, patience: float) -> Any:
    set_before = _patience.set(max(0.0, min(patience, POOL_SECONDS)))
    try:
        return source.raw_connection()
    finally:
        _patience.reset(set_before)


def _give_back(connection: Any, driver: Any) -> None:
    """As it was taken; the pool would not undo what the driver does not know of, so one that is still in a transaction does not go back."""
    if not driver.closed:
        if driver.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            driver.set_isolation_level(None)
        else:
            connection.invalidate()
    connection.close()


def _undo(connection: Any, cursor: Cursor) -> None:
    try:
        cursor.rollback()
    except psycopg2.Error:
        connection.invalidate()
