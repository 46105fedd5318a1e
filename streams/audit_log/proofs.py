"""Proof files: that one event is in an anchored log, and that one anchored log goes on from another. Checked before they are handed out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from psycopg2.extras import register_default_jsonb

from infra.audit import check
from infra.audit.check import Head, Refused, canonical
from infra.database import Cursor
from infra.errors import Conflict, NotFound
from streams.audit_log import leaf, merkle
from streams.audit_log.log import Hashes, LogBroken

EVENT = f"SELECT {leaf.SELECT} FROM events WHERE event_id = %s"
EVENT_AT = f"SELECT {leaf.SELECT} FROM events WHERE position = %s"
INDEX = "SELECT leaf_index FROM audit_leaves WHERE position = %s"


class NotCovered(Conflict):
    """The event is there, and no final anchor covers it yet."""

    reason = "not_covered"


def prove(cursor: Cursor, event: UUID | int, head: Head) -> bytes:
    """The proof file of an event (by id, or by position) in the log at `head`. Raises NotFound, NotCovered, LogBroken."""
    row = _event(cursor, event)
    cursor.execute(INDEX, (row[0],))
    found = cursor.fetchone()
    if found is None or found[0] >= head.size:
        raise NotCovered(
            f"event {row[1]} (position {row[0]}) is not covered by the last final anchor, which has {head.size} events;"
            " it will be with the next: `payriver audit anchor`"
        )
    index = int(found[0])
    told = {
        "format": check.PROOF,
        "index": index,
        "leaf": leaf.leaf(row).decode(),
        "log_id": head.log_id,
        "path": [each.hex() for each in merkle.inclusion(index, head.size, Hashes(cursor))],
        "root": head.root.hex(),
        "size": head.size,
    }
    text = canonical(told) + b"\n"
    try:
        check.check_proof(text, head)
    except Refused as error:
        raise LogBroken(
            f"event {row[1]} (position {row[0]}) cannot be proved: {error}; run `payriver verify`"
        ) from None
    return text


def prove_consistency(cursor: Cursor, first: Head, second: Head) -> bytes:
    """The proof file that the log at `second` begins with the log at `first`. Raises LogBroken."""
    told = {
        "format": check.CONSISTENCY,
        "first_root": first.root.hex(),
        "first_size": first.size,
        "log_id": second.log_id,
        "path": [each.hex() for each in merkle.consistency(first.size, second.size, Hashes(cursor))],
        "second_root": second.root.hex(),
        "second_size": second.size,
    }
    text = canonical(told) + b"\n"
    try:
        check.check_consistency(text, first, second)
    except Refused as error:
        raise LogBroken(f"{error}; run `payriver verify`") from None
    return text


def _event(cursor: Cursor, event: UUID | int) -> tuple[Any, ...]:
    register_default_jsonb(cursor, loads=orjson.loads)
    cursor.execute(EVENT if isinstance(event, UUID) else EVENT_AT, (event,))
    row = cursor.fetchone()
    if row is None:
        raise NotFound(f"no event {event}; `payriver explain PAYMENT` names those of a payment")
    return tuple(row)
