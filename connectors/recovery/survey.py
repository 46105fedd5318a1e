"""The whole of the topics held against W: what W has lost, what contradicts it, and what the topics lack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from psycopg2.extras import execute_values

from connectors.debezium.retention import CARRIED_OUT
from connectors.recovery.agreement import identities, identity, is_event, put_aside
from infra.database import Cursor
from streams.runtime.records import Record

TOLD = "CREATE TEMP TABLE told (id uuid NOT NULL) ON COMMIT PRESERVE ROWS"
TELL = "INSERT INTO told (id) VALUES %s"
INDEX = "CREATE INDEX ON told (id); ANALYZE told"
HEADS = "SELECT stream_id::text, version FROM streams WHERE stream_id = ANY(%s::uuid[])"
TAKEN = "SELECT position, event_id::text FROM events WHERE position = ANY(%s)"
SENT = """
SELECT id::text FROM outbox WHERE id = ANY(%(ids)s::uuid[]) UNION ALL SELECT id::text FROM dropped_orders WHERE id = ANY(%(ids)s::uuid[])
"""
# What was never announced, or was and is on no topic any more. A command that was carried out is not missed (topics keep them for
# seven days), nor is one that waits for a person.
LACKING = f"""
SELECT o.id, o.topic, o.key, o.type FROM outbox AS o
WHERE NOT EXISTS (SELECT FROM told AS t WHERE t.id = o.id)
  AND (o.topic LIKE '%%.events' OR NOT (
    {CARRIED_OUT} OR EXISTS (SELECT FROM parked_messages AS p WHERE p.headers ->> 'ce_id' = o.ce_id)
  ))
"""


@dataclass(frozen=True)
class Conflict:
    """A record that W contradicts, and how."""

    record: Record
    why: str


@dataclass
class Survey:
    """`lost`: events on topics that W has not, by position; `orders`: commands on topics that its outbox has not."""

    records: int = 0
    lost: list[Record] = field(default_factory=list)
    orders: list[Record] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)


def survey(cursor: Cursor, batches: Iterable[list[Record]]) -> Survey:
    """Read all batches; leaves the ids of all records in the temporary table `told` of the cursor's session."""
    found = Survey()
    cursor.execute(TOLD)
    for batch in batches:
        found.records += len(batch)
        others = _events(cursor, [record for record in batch if is_event(record)], found)
        _tell(cursor, [record for record in batch if record.headers.get("ce_id") not in others])
        found.orders += _unsent(cursor, [r for r in batch if r.topic.endswith(".commands") and _id(r)])
    cursor.execute(INDEX)
    found.lost.sort(key=lambda record: int(record.headers["position"]))
    _hold_against(cursor, found)
    return found


def lacking(cursor: Cursor) -> list[tuple[UUID, str, str, str]]:
    """Outbox rows that the topics lack (id, topic, key, type), after `survey` in the same session."""
    cursor.execute(LACKING)
    return list(cursor.fetchall())


def _tell(cursor: Cursor, batch: Sequence[Record]) -> None:
    ids = [(each,) for record in batch if (each := _id(record))]
    if ids:
        execute_values(cursor, TELL, ids, page_size=len(ids))


def _events(cursor: Cursor, events: Sequence[Record], found: Survey) -> set[str]:
    """Gives the ids under which W holds another event than these records tell of: of W's own, nobody was told by them."""
    known = identities(cursor, events) if events else {}
    aside = put_aside(cursor, events)
    for record in (each for each in events if each.headers["ce_id"] not in aside):
        stored = known.get(record.headers["ce_id"])
        if stored is None:
            found.lost.append(record)
        elif stored != identity(record):
            found.conflicts.append(
                Conflict(record, f"W holds it as version {stored[1]} of {stored[0]} at position {stored[2]}")
            )
    told = {record.headers["ce_id"] for record in events if known.get(record.headers["ce_id"]) == identity(record)}
    return known.keys() - told


def _unsent(cursor: Cursor, orders: Sequence[Record]) -> list[Record]:
    if not orders:
        return []
    cursor.execute(SENT, {"ids": [_id(record) for record in orders]})
    sent = {row[0] for row in cursor.fetchall()}
    return [record for record in orders if _id(record) not in sent]


def _hold_against(cursor: Cursor, found: Survey) -> None:
    """A lost event goes behind its stream's head, and its position is free: else W has gone on by itself since it was restored."""
    cursor.execute(HEADS, ([record.key_text for record in found.lost],))
    heads = dict(cursor.fetchall())
    cursor.execute(TAKEN, ([int(record.headers["position"]) for record in found.lost],))
    taken = dict(cursor.fetchall())
    seen: set[str] = set()
    torn: set[str | None] = set()
    for record in found.lost:
        event_id, version, position = (record.headers[name] for name in ("ce_id", "stream_version", "position"))
        if event_id in seen:
            continue
        seen.add(event_id)
        expected = heads.get(record.key_text or "", 0) + 1
        if int(position) in taken:
            why = f"position {position} was given to {taken[int(position)]} since"
        elif int(version) != expected or record.key_text in torn:
            why = f"the stream stands at version {expected - 1} in W: it went on since, or versions are missing on the topic"
        else:
            heads[record.key_text or ""] = expected
            continue
        found.conflicts.append(Conflict(record, why))
        torn.add(record.key_text)
    found.lost = _once([record for record in found.lost if record.key_text not in torn])


def _once(records: Sequence[Record]) -> list[Record]:
    return list({record.headers["ce_id"]: record for record in records}.values())


def _id(record: Record) -> str | None:
    """The outbox row that the record came from."""
    value = record.headers.get("ce_id")
    try:
        return str(UUID(value))
    except (TypeError, ValueError):
        return None
