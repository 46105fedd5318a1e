"""At the start: does W hold what the topics hold? A W that was restored to an earlier point does not, and must not be appended to.

Records follow W's log: a W that holds the newest events of every partition holds all of them. Who runs before this was looked at would
give positions and versions away a second time, and nobody who had read the first ones could ever be told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from connectors.recovery.reading import newest
from infra.database import Cursor, transaction
from infra.errors import BehindTopics
from schemas.topics import TOPICS
from streams.runtime.records import Record

EVENT_TOPICS = tuple(topic.name for topic in TOPICS if topic.name.endswith(".events"))
KNOWN = (
    "SELECT event_id::text, stream_id::text, version::text, position::text FROM events WHERE event_id = ANY(%s::uuid[])"
)
PUT_ASIDE = "SELECT event_id::text FROM lost_events WHERE event_id = ANY(%s::uuid[])"
NEWEST_ON_R = "SELECT event_id, type, version, stream_id FROM deliveries ORDER BY position DESC LIMIT 100"
UUID_FORM = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FORMS = (UUID_FORM, UUID_FORM, re.compile("[0-9]{1,9}"), re.compile("[0-9]{1,18}"))
"""Of a key, an event's id, its version and its position."""
GUIDE = "`payriver recover` says what is lost and brings it back (infra/runbooks/restore.md)"


def check_topics(write: Engine, kafka: Mapping[str, Any], group: str, topics: Sequence[str] = EVENT_TOPICS) -> int:
    """Hold W against the newest records of the topics of events; gives how many were looked at. Raises BehindTopics, Unreachable."""
    records = [record for record in newest(kafka, group, topics) if is_event(record)]
    with transaction(write) as cursor:
        known = identities(cursor, records)
        aside = put_aside(cursor, records)
    for record in records:
        if record.headers["ce_id"] not in aside and known.get(record.headers["ce_id"]) != identity(record):
            raise BehindTopics(
                f"W does not hold {record.headers.get('ce_type')} {record.headers['ce_id']}, version "
                f"{record.headers.get('stream_version')} of {record.key_text}, which stands at {record.topic}/{record.partition}/"
                f"{record.offset}: W was restored to an earlier point, or is another. Nothing was appended. {GUIDE}"
            )
    return len(records)


def check_read_side(write: Engine, read: Engine) -> None:
    """The same for a process that reads no topic: R holds what was delivered. Raises BehindTopics."""
    with transaction(read) as cursor:
        cursor.execute(NEWEST_ON_R)
        told = cursor.fetchall()
    with transaction(write) as cursor:
        cursor.execute(KNOWN, ([str(row[0]) for row in told],))
        known = {row[0] for row in cursor.fetchall()}
        cursor.execute(PUT_ASIDE, ([str(row[0]) for row in told],))
        known |= {row[0] for row in cursor.fetchall()}
    for event_id, kind, version, stream_id in told:
        if str(event_id) not in known:
            raise BehindTopics(
                f"W does not hold {kind} {event_id}, version {version} of {stream_id}, which was delivered to R: W was restored to an "
                f"earlier point, or is another. Nothing was appended. {GUIDE}"
            )


def is_event(record: Record) -> bool:
    """Whether the outbox announced an event with it, with its ids and numbers as we write them: what has no position is an order, or poison."""
    told = (record.key_text, *(record.headers.get(name) for name in ("ce_id", "stream_version", "position")))
    return all(text is not None and form.fullmatch(text) for form, text in zip(FORMS, told, strict=True))


def identity(record: Record) -> tuple[str, ...]:
    """Stream, version and position as the record tells them."""
    return (record.key_text or "", record.headers["stream_version"], record.headers["position"])


def put_aside(cursor: Cursor, records: Sequence[Record]) -> set[str]:
    """Those of the records' events that wait for a person, since they contradict W."""
    cursor.execute(PUT_ASIDE, ([record.headers["ce_id"] for record in records],))
    return {row[0] for row in cursor.fetchall()}


def identities(cursor: Cursor, records: Sequence[Record]) -> dict[str, tuple[str, ...]]:
    """Stream, version and position of those of the records' events that W holds, by event id."""
    cursor.execute(KNOWN, ([record.headers["ce_id"] for record in records],))
    return {row[0]: tuple(row[1:]) for row in cursor.fetchall()}
