"""Slices of events and outbox, and what is done to whole streams: slices are opened ahead, closed streams move to cold partitions.

Each is a function of the database's owner (0001_event_store.sql, 0014_archive.sql); here they are called, and refusals get their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import psycopg2.errors
import structlog
from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import Retry

log = structlog.get_logger()
STREAMS_AT_ONCE = 500


def open_slices(owner: Engine) -> int:
    """Opens the next slices, unless they lie ready; gives how many. A long reader keeps it out: then it is for the next start to do."""
    try:
        with transaction(owner) as cursor:
            cursor.execute("SELECT open_slices()")
            return int(cursor.fetchall()[0][0])
    except psycopg2.errors.LockNotAvailable:
        log.warning(
            "slices_not_opened", because="somebody reads all tables just now; it is tried again at the next start"
        )
        return 0


def closed(operator: Engine, before: datetime) -> int:
    """How many streams `archive` would move: payments whose saga and whose last event ended before this time."""
    with transaction(operator) as cursor:
        cursor.execute("SELECT count(*) FROM closed_streams(%s)", (before,))
        return int(cursor.fetchall()[0][0])


def archive(operator: Engine, before: datetime, at_once: int = STREAMS_AT_ONCE) -> Iterator[tuple[int, int]]:
    """Moves closed streams to cold partitions, so many in a transaction; yields (streams, events) of each until none is left.

    Ended at any time it has moved whole streams, and goes on when it is called again. Raises Retry while somebody reads all tables.
    """
    try:
        with transaction(operator) as cursor:
            cursor.execute("SELECT open_cold()")
    except psycopg2.errors.LockNotAvailable as error:
        raise Retry(
            "somebody reads all tables just now (payriver verify, a dump), and a cold partition must be opened; again, when they are done"
        ) from error
    while True:
        with transaction(operator) as cursor:
            cursor.execute("SELECT streams_moved, events_moved FROM archive_streams(%s, %s)", (before, at_once))
            streams, events = cursor.fetchall()[0]
        if not streams:
            return
        yield streams, events
