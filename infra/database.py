"""Connections to PostgreSQL: an engine a process, a transaction a unit of work. psycopg2 is the one driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2.extensions
import psycopg2.extras
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, make_url

psycopg2.extras.register_uuid()  # type: ignore[no-untyped-call]

Cursor = psycopg2.extensions.cursor

FROZEN_SECONDS = 20
"""A process that is frozen inside a transaction holds its rows no longer than this; thawed, it commits nothing (SQLSTATE 25P03)."""


def engine(
    url: SecretStr | str,
    *,
    pool_size: int = 5,
    application_name: str = "payriver",
    frozen_seconds: int = FROZEN_SECONDS,
    seldom: bool = False,
) -> Engine:
    """A pool of connections to `postgresql://role:password@host:port/database`; opens none until it is used.

    `frozen_seconds`: how long a transaction may rest between two statements; 0: for ever, for who reads and thinks.
    `seldom`: used so seldom, as by a person, that a connection is asked whether it still lives before each use, and opened again where not.
    """
    plain = url.get_secret_value() if isinstance(url, SecretStr) else url
    return create_engine(
        make_url(plain).set(drivername="postgresql+psycopg2"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=seldom,
        pool_recycle=1800,
        pool_timeout=10,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 5,
            "options": f"-c idle_in_transaction_session_timeout={frozen_seconds}s",
        },
    )


@contextmanager
def transaction(source: Engine) -> Iterator[Cursor]:
    """One transaction: commits at the end of the block, rolls back when it raises. A broken connection leaves the pool."""
    connection: Any = source.raw_connection()
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    except BaseException:
        _undo(connection)
        raise
    finally:
        connection.close()


def _undo(connection: Any) -> None:
    try:
        connection.rollback()
    except psycopg2.Error:
        connection.invalidate()
