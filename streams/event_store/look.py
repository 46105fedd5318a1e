"""One question about streams, before anything is decided on them: where they stand, and what has to be folded to know what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from infra.database import Cursor
from streams.aggregates import AGGREGATES
from streams.event_store import snapshots
from streams.event_store.arrays import blobs, numbers, uuids
from streams.event_store.fingerprint import fingerprint
from streams.event_store.recorded import Said
from streams.event_store.snapshots import Kept
from streams.event_store.store import Head

MOST = 200
"""Events that come with the answer; a stream of which more is not known yet is read by pages (states.py)."""
LOOK = """
SELECT stream_id, category, version, head_hash, kept_by, kept_category, kept_version, kept_hash, kept_state::text, kept_digest,
       events::text, asked_at, seen_time, seen_ago, answers::text
FROM look(%s::uuid[], %s::int[], %s::bytea[], %s, %s::uuid[], %s)
"""


@dataclass(frozen=True)
class Seen:
    """A stream that exists. `kept`: its snapshot, where no version of it was known; `events`: from the version known on, itself included."""

    category: str
    head: Head
    kept: Kept | None
    events: tuple[Said, ...]


@dataclass(frozen=True)
class Look:
    """What was found, at `asked_at` by the server's clock. `chain_time`, `chain_age`: the newest block's time, and how old our view is, in s."""

    streams: Mapping[UUID, Seen]
    asked_at: datetime
    chain_time: int
    chain_age: int
    answers: list[list[Any]]


def look(cursor: Cursor, known: Mapping[UUID, int], commands: Iterable[UUID] = (), *, lock: bool = False) -> Look:
    """Streams by id, with the version known of each (0: none); a stream that does not exist is left out.

    `commands`: of which the first answers are wanted: [id, type, fingerprint, answer] each. `lock`: all streams' heads are locked until the
    transaction ends, in one order, before anything is looked at.
    """
    codes = blobs(map(fingerprint, AGGREGATES))
    cursor.execute(LOOK, (uuids(known), numbers(known.values()), codes, MOST, uuids(commands), lock))
    rows = cursor.fetchall()
    *_, asked_at, chain_time, chain_age, answers = rows[-1]
    found = {row[0]: _seen(row) for row in rows if row[0] is not None}
    return Look(found, asked_at, chain_time, chain_age, orjson.loads(answers) if answers else [])


def _seen(row: Sequence[Any]) -> Seen:
    stream_id, category, version, head_hash, by, of, at, stands_on, state, digest, events, *_ = row
    kept = snapshots.read(stream_id, by, of, at, stands_on, orjson.loads(state), digest) if state is not None else None
    said = tuple(map(Said._make, orjson.loads(events))) if events is not None else ()
    return Seen(category, Head(version, bytes(head_hash)), kept, said)
