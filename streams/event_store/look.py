"""One question about streams, before anything is decided on them: where they stand, and what has to be folded to know what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from infra.database import Cursor
from schemas.definition import Message
from schemas.upcasters import message_of_text
from streams.aggregates import AGGREGATES
from streams.event_store import snapshots
from streams.event_store.arrays import blobs, numbers, uuids
from streams.event_store.fingerprint import fingerprint
from streams.event_store.snapshots import Kept
from streams.event_store.store import Head

MOST = 200
"""Events that come with the answer; a stream of which more is not known yet is read by pages (states.py)."""
LOOK = "SELECT look(%s::uuid[], %s::int[], %s::bytea[], %s, %s::uuid[], %s)::text"


class Since(NamedTuple):
    """Events from the version known on, itself included, in their order, by what they are of. `first_hash`: of the one that was known."""

    first_hash: bytes | None
    types: list[str]
    schema_versions: list[int]
    payloads: list[msgspec.Raw]


class Snapshot(NamedTuple):
    """A stored row, as `snapshots.read` takes it."""

    folded_by: bytes
    category: str
    version: int
    head_hash: bytes
    state: Any
    digest: bytes


class Found(NamedTuple):
    """A stream that exists. `snapshot`: where no version of it was known. `events`: None where none came since, or too many did."""

    stream_id: UUID
    category: str
    version: int
    head_hash: bytes
    snapshot: Snapshot | None
    events: Since | None


class Told(NamedTuple):
    """The answer as it comes."""

    asked_at: datetime
    chain_time: int
    chain_age: int
    answers: list[list[Any]]
    streams: list[Found]


NOTHING = Since(None, [], [], [])
_read = msgspec.json.Decoder(Told).decode


@dataclass(frozen=True)
class Seen:
    """A stream that exists. `kept`: its snapshot, where no version of it was known."""

    category: str
    head: Head
    kept: Kept | None
    events: Since

    def since(self, known: Head) -> Iterator[Message] | None:
        """What came since a head, as today's classes say it; None where that does not stand, or not all came along. Raises UnknownType."""
        first_hash, types, schema_versions, payloads = self.events
        first = 1 if known.version else 0
        if len(types) - first != self.head.version - known.version or (first and first_hash != known.hash):
            return None
        return map(message_of_text, types[first:], schema_versions[first:], payloads[first:])


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
    ((answer,),) = cursor.fetchall()
    told = _read(answer)
    found = {each.stream_id: _seen(each) for each in told.streams}
    return Look(found, told.asked_at, told.chain_time, told.chain_age, told.answers)


def _seen(found: Found) -> Seen:
    kept = snapshots.read(found.stream_id, *found.snapshot) if found.snapshot else None
    return Seen(found.category, Head(found.version, found.head_hash), kept, found.events or NOTHING)
