"""One question about streams, before anything is decided on them: where they stand, and what has to be folded to know what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from infra.database import Cursor
from schemas.definition import Message
from schemas.upcasters import message_of
from streams.aggregates import AGGREGATES
from streams.event_store import snapshots
from streams.event_store.arrays import blobs, numbers, uuids
from streams.event_store.fingerprint import fingerprint
from streams.event_store.snapshots import Kept
from streams.event_store.store import Head

MOST = 200
"""Events that come with the answer; a stream of which more is not known yet is read by pages (states.py)."""
NOTHING: tuple[str, list[str], list[int], list[dict[str, Any]]] = ("", [], [], [])
LOOK = """
SELECT stream_id, category, version, head_hash, kept_by, kept_category, kept_version, kept_hash, kept_state::text, kept_digest,
       events::text, asked_at, seen_time, seen_ago, answers::text
FROM look(%s::uuid[], %s::int[], %s::bytea[], %s, %s::uuid[], %s)
"""


class Seen(NamedTuple):
    """A stream that exists. `kept`: its snapshot, where no version of it was known.

    Then come the events from the version known on, itself included, in their order, and the hash of the first of them; nothing of it where none
    came since, or too many did.
    """

    category: str
    head: Head
    kept: Kept | None
    first_hash: str
    types: Sequence[str]
    schema_versions: Sequence[int]
    payloads: Sequence[dict[str, Any]]

    def since(self, known: Head) -> Iterator[Message] | None:
        """What came since a head, as today's classes say it; None where that does not stand, or not all came along. Raises UnknownType."""
        first = 1 if known.version else 0
        if len(self.types) - first != self.head.version - known.version or (
            first and self.first_hash != known.hash.hex()
        ):
            return None
        return map(message_of, self.types[first:], self.schema_versions[first:], self.payloads[first:])


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
    stream_id, category, version, head_hash, by, of, at, kept_hash, state, digest, events, *_ = row
    kept = snapshots.read(stream_id, by, of, at, kept_hash, orjson.loads(state), digest) if state is not None else None
    told = orjson.loads(events) if events is not None else NOTHING
    return Seen(category, Head(version, bytes(head_hash)), kept, *told)
