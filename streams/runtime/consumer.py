"""What a component writes to read a topic: a `Handler`. What it gets for that: each message once, or parked with a reason.

A run of messages is one transaction: the fence, what the handler writes, commit. If the handler refuses, the run goes one
message, one transaction, and the bad one is parked; its key's later messages wait behind it and all other keys go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import psycopg2.extensions
import structlog
from sqlalchemy import Engine

from infra.database import Cursor, transaction
from infra.errors import PayriverError, Stop
from infra.failpoints import failpoint
from infra.transient import is_transient
from streams.runtime import checkpoint, parked
from streams.runtime.records import Record, Run

log = structlog.get_logger(__name__)


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
