"""A transaction on W that ends in time: no statement of it, and no silence of ours, outlasts the answer's deadline."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.errors import DeadlockDetected, IdleInTransactionSessionTimeout, QueryCanceled
from sqlalchemy import Engine as Database
from sqlalchemy.exc import TimeoutError as NoConnection
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from infra.database import Cursor, transaction
from infra.errors import Retry, TooLate

again = retry(
    retry=retry_if_exception_type((Retry, DeadlockDetected)),
    stop=stop_after_attempt(8),
    wait=wait_random(0.001, 0.02),
    reraise=True,
)
TIMED_OUT = (QueryCanceled, IdleInTransactionSessionTimeout, NoConnection)
GRACE_MS = 200  # what is left of the network's limit for saying that our time is over
AFTERWARDS_MS = 50  # one statement that takes all the time is cancelled before; several together cost the connection
BOUNDS = """
SELECT set_config('statement_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true),
       set_config('transaction_timeout', %s, true), set_config('synchronous_commit', %s, true)
"""
DURABLE = "SET LOCAL synchronous_commit = on"


@contextmanager
def bounded(database: Database, until: float, *, durable: bool = True) -> Iterator[Cursor]:
    """A transaction that is over by `until` (monotonic seconds; infinity: whenever). Raises TooLate. `durable`: its commit waits for the disk.

    Frozen in its midst, this process holds no rival up and, thawed, commits nothing: W has ended the session.
    """
    if until == math.inf:
        with transaction(database) as cursor:
            yield cursor
        return
    try:
        with transaction(database, until - time.monotonic()) as cursor:
            # Only now: a connection may have been waited for.
            left_ms = max(GRACE_MS, int((until - time.monotonic()) * 1000))
            bounds = str(left_ms), str(left_ms), str(left_ms + AFTERWARDS_MS)
            cursor.postpone(BOUNDS, (*bounds, "on" if durable else "off"))
            yield cursor
    except (psycopg2.Error, NoConnection) as error:
        if not isinstance(error, TIMED_OUT) and time.monotonic() < until:
            raise
        raise TooLate("W did not answer in time; nothing was approved") from error
