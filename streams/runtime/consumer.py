"""What a component writes to read a topic: a `Handler`. What it gets for that: each message once, or parked with a reason.

A run of messages is one transaction: the fence, what the handler writes, commit. If the handler refuses, the run goes one
message, one transaction, and the bad one is parked; its key's later messages wait behind it and all other keys go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import psycopg2
import psycopg2.extensions
import sqlalchemy.exc
import structlog
from sqlalchemy import Engine

from infra.database import Cursor, transaction
from infra.errors import PayriverError, Retry, Stop
from infra.failpoints import failpoint
from streams.runtime import checkpoint, parked
from streams.runtime.records import Place, Record, Run

__all__ = ["AfterCommit", "Handler", "HandlerBrokeTransaction", "Place", "Record", "Run", "is_transient", "process"]

log = structlog.get_logger(__name__)

# What may pass by itself, by SQLSTATE or by its class (the first two characters): PostgreSQL's appendix A.
TRANSIENT_STATES = frozenset({
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "25006",  # read_only_sql_transaction: the server is a standby for a moment
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57P05",  # idle_session_timeout
    "25P03",  # idle_in_transaction_session_timeout
})  # fmt: skip
TRANSIENT_CLASSES = frozenset({
    "08",  # connection exceptions
    "28",  # a password or role that is being changed: nobody's message is at fault
    "53",  # out of disk, memory, connections
    "58",  # the server's own system errors
})  # fmt: skip


class Handler(Protocol):
    """What a component does with messages: everything in the caller's transaction, nothing outside, no commit.

    It must bear being given a message again (a rewound checkpoint, a replay): by stream versions, inbox ids, stored answers.
    """

    def apply(self, cursor: Cursor, records: Sequence[Record], /) -> None:
        """Take messages of one partition, in order. Raises Retry for what may pass, Stop for what needs a person now."""


AfterCommit = Callable[[Sequence[Record]], None]


class HandlerBrokeTransaction(PayriverError):
    """A handler ended the caller's transaction, or went on after a database error it had caught."""


def process(
    engine: Engine, consumer: str, handler: Handler, run: Run, *, after_commit: AfterCommit | None = None
) -> bool:
    """Finish the run: every message of it is applied, queued or parked. False: there is a hole before it, seek back.

    Raises only what is transient (see `is_transient`) and Stop: then try the same run again, the fence knows what is done.
    """
    try:
        return _apply(engine, consumer, handler, run, after_commit)
    except Exception as error:  # one of these messages will be parked, below
        if is_transient(error) or isinstance(error, Stop):
            raise
        if len(run.records) > 1:
            log.info("run_goes_singly", messages=len(run.records), error=parked.describe(error), **_where(run))
    return all(_apply_or_park(engine, consumer, handler, single, after_commit) for single in run.singly())


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: the world was in the way, not the message."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        return is_transient(error.orig)
    if isinstance(error, (Retry, psycopg2.InterfaceError, sqlalchemy.exc.TimeoutError)):
        return True
    if not isinstance(error, psycopg2.Error):
        return False
    if error.pgcode is None:  # the connection broke, or there was none
        return isinstance(error, psycopg2.OperationalError) or error.__class__ is psycopg2.DatabaseError
    return error.pgcode in TRANSIENT_STATES or error.pgcode[:2] in TRANSIENT_CLASSES


def _apply(engine: Engine, consumer: str, handler: Handler, run: Run, after_commit: AfterCommit | None) -> bool:
    """One transaction: the fence, the messages that wait behind a parked one, the handler."""
    records: tuple[Record, ...] = ()
    with transaction(engine) as cursor:
        new = checkpoint.advance(cursor, consumer, run)
        if new is None:
            return False
        failpoint(f"{consumer}.after_fence")
        if new.records and (records := parked.queue_behind(cursor, consumer, new)):
            handler.apply(cursor, records)
            must_be_open(cursor)
        failpoint(f"{consumer}.before_commit")
    failpoint(f"{consumer}.after_commit")
    if new.start != run.start:
        log.info("run_fenced", applied_before=new.start - run.start, **_where(run))
    if after_commit and records:
        _tell(after_commit, records)
    return True


def _apply_or_park(
    engine: Engine, consumer: str, handler: Handler, single: Run, after_commit: AfterCommit | None
) -> bool:
    try:
        return _apply(engine, consumer, handler, single, after_commit)
    except Exception as error:  # this is where a message is parked
        if is_transient(error) or isinstance(error, Stop):
            raise
        record = single.records[0]
        with transaction(engine) as cursor:
            new = checkpoint.advance(cursor, consumer, single)
            if new is not None and new.records:
                parked.park(cursor, consumer, single.place, record, error)
        log.error(
            "message_parked", reason=parked.reason_of(error), key=record.key_text, exc_info=error, **_where(single)
        )
        return new is not None


def must_be_open(cursor: Cursor) -> None:
    """The handler has left the transaction whole."""
    status = cursor.connection.info.transaction_status
    if status != psycopg2.extensions.TRANSACTION_STATUS_INTRANS:
        raise HandlerBrokeTransaction(
            f"the handler left its transaction in state {status}; it may not commit, roll back, or go on after an error"
        )


def _tell(after_commit: AfterCommit, records: Sequence[Record]) -> None:
    try:
        after_commit(records)
    except Exception:  # the messages are done: a hook that only wakes somebody cannot undo them
        log.exception("after_commit_failed")


def _where(run: Run) -> dict[str, object]:
    return {"topic": run.place.topic, "partition": run.place.partition, "start": run.start, "end": run.end}
