"""Snapshots: the fold of a stream's first events, kept beside them, so that a long stream loads like a short one.

Never trusted over the events: a snapshot is used only if the stream has, at its version, the event it names; if it was folded by the
same code; and if nothing of it was changed since. Otherwise it is as if there were none. All may be dropped at any moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import structlog

from infra.database import Cursor
from streams.aggregates import AGGREGATES, State
from streams.event_store.fingerprint import fingerprint
from streams.event_store.frozen import from_plain, to_plain
from streams.event_store.store import Head

LOAD = """
SELECT stream_id, fingerprint, category, version, head_hash, state, digest FROM snapshots
INNER JOIN unnest(%s::uuid[], %s::int[]) AS wanted (id, up_to) ON stream_id = wanted.id AND version <= wanted.up_to
WHERE fingerprint = ANY(%s)
"""
SAVE = "SELECT save_snapshots(%s::uuid[], %s::bytea[], %s::text[], %s::int[], %s::bytea[], %s::jsonb[], %s::bytea[])"
DROP = "SELECT drop_snapshots(%s::uuid[], %s::bytea[])"
MALFORMED = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a state that was tampered with may raise."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Kept:
    """A stream's state as the fold of its events up to `head`."""

    stream_id: UUID
    category: str
    head: Head
    state: State


def load(cursor: Cursor, wanted: Mapping[UUID, int]) -> dict[UUID, Kept]:
    """The usable snapshots of these streams, each of no later version than the one wanted.

    The caller must still see that the event at `head.version` has the hash `head.hash`: only then is it the stream's.
    """
    if not wanted:
        return {}
    cursor.execute(LOAD, (list(wanted), list(wanted.values()), [fingerprint(each) for each in AGGREGATES]))
    found = {}
    for row in cursor.fetchall():
        kept = read(*row)
        if kept is None:
            log.warning("snapshot_not_used", stream_id=str(row[0]), version=row[3])
        else:
            found[kept.stream_id] = kept
    return found


def read(
    stream_id: UUID, folded_by: bytes, category: str, version: int, head_hash: bytes, plain: Any, digest: bytes
) -> Kept | None:
    """A stored row as a state; None for one of other code, or in which something was changed."""
    head = Head(version, bytes(head_hash))
    if category not in AGGREGATES or bytes(folded_by) != fingerprint(category):
        return None
    if digest_of(stream_id, bytes(folded_by), category, head, plain) != bytes(digest):
        return None
    try:
        return Kept(stream_id, category, head, from_plain(AGGREGATES[category].state, plain))
    except MALFORMED:
        return None


def save(cursor: Cursor, kept: Sequence[Kept]) -> set[UUID]:
    """Keep these states, each unless a newer one is kept already; gives the streams whose event was there to stand on."""
    plains = [to_plain(each.state) for each in kept]
    codes = [fingerprint(each.category) for each in kept]
    values = (
        [each.stream_id for each in kept],
        codes,
        [each.category for each in kept],
        [each.head.version for each in kept],
        [each.head.hash for each in kept],
        [orjson.dumps(plain).decode() for plain in plains],
        [
            digest_of(each.stream_id, code, each.category, each.head, plain)
            for each, code, plain in zip(kept, codes, plains, strict=True)
        ],
    )
    cursor.execute(SAVE, values)
    return {row[0] for row in cursor.fetchall()}


def drop(cursor: Cursor, stream_ids: Sequence[UUID] | None = None, *, stale: bool = False) -> int:
    """Throw away the snapshots of these streams (None: of all); `stale`: only those that other code has folded. Gives how many."""
    keep = [fingerprint(each) for each in AGGREGATES] if stale else []
    cursor.execute(DROP, (None if stream_ids is None else list(stream_ids), keep))
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def digest_of(stream_id: UUID, folded_by: bytes, category: str, head: Head, plain: Any) -> bytes:
    """sha256 over all that a snapshot says, as JSON with sorted keys: whatever is changed by accident is found before it is used."""
    told = [str(stream_id), folded_by.hex(), category, head.version, head.hash.hex(), plain]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).digest()
