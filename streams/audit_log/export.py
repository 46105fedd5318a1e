"""An export for an auditor: the events of a period, a line each, with a signed manifest that proves them to be what the log has there.

A folder of three files: `events.jsonl` (each line is a leaf, byte for byte), `manifest.json` (RFC 8785), `manifest.sig`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson
from psycopg2.extras import register_default_jsonb

from infra.audit import check
from infra.audit.check import Head, canonical, leaf_hash, root_by_range
from infra.database import Cursor
from infra.errors import BadInput, NotFound
from infra.files import unfinished
from streams.audit_log import leaf, merkle
from streams.audit_log.export_key import ExportKey
from streams.audit_log.log import Hashes, LogBroken
from streams.audit_log.proofs import NotCovered

BATCH = 2_000
ENDS = "SELECT min(position), max(position) FROM events WHERE recorded_at >= %s AND recorded_at < %s"
INDEXES = "SELECT min(leaf_index), max(leaf_index), count(*) FROM audit_leaves WHERE position IN (%s, %s)"
EVENTS = f"""
DECLARE audit_export NO SCROLL CURSOR FOR
SELECT {leaf.SELECT} FROM events WHERE position >= %s AND position <= %s ORDER BY position
"""
NEXT = "FETCH %s FROM audit_export"
COVERED = "SELECT recorded_at FROM events INNER JOIN audit_leaves USING (position) WHERE leaf_index = %s"

Progress = Callable[[int, int], None]
"""(events written, of how many)"""


@dataclass(frozen=True)
class Stretch:
    """A piece of the log without a gap: the leaves [first, end), and their first and last position."""

    first: int
    end: int
    first_position: int
    last_position: int


def stretch(cursor: Cursor, start: datetime, end: datetime, head: Head) -> Stretch:
    """The shortest piece of the log that has every event recorded in [start, end). Raises BadInput, NotFound, NotCovered, LogBroken.

    Transactions that ran side by side may have put a few others between them: those are in it too, for a piece has no gap.
    """
    if start >= end:
        raise BadInput(f"{leaf.moment(start)} is not before {leaf.moment(end)}; turn them round")
    cursor.execute(ENDS, (start, end))
    ((first, last),) = cursor.fetchall()
    if first is None:
        raise NotFound(f"no event was recorded from {leaf.moment(start)} to {leaf.moment(end)}")
    cursor.execute(INDEXES, (first, last))
    ((low, high, count),) = cursor.fetchall()
    if count != len({first, last}) or high >= head.size:
        until = _recorded(cursor, head.size - 1)
        raise NotCovered(
            f"the period reaches past the last final anchor, whose last event was recorded at {leaf.moment(until)}:"
            " end it there, or run `payriver audit anchor` first"
        )
    for neighbour in (low - 1, high + 1):  # what is gone from an end of the period must not make it shorter
        if 0 <= neighbour < head.size:
            _recorded(cursor, neighbour)
    return Stretch(low, high + 1, first, last)


def _recorded(cursor: Cursor, index: int) -> datetime:
    """When the event of a leaf was recorded. Raises LogBroken where it is gone."""
    cursor.execute(COVERED, (index,))
    row = cursor.fetchone()
    if row is None:
        raise LogBroken(f"leaf {index} of the log says that there was an event, and it is gone; run `payriver verify`")
    recorded_at: datetime = row[0]
    return recorded_at


def export(
    cursor: Cursor, head: Head, key: ExportKey, period: tuple[datetime, datetime], folder: Path, progress: Progress
) -> dict[str, Any]:
    """Write the folder, which must not be there; gives the manifest. Raises BadInput, NotFound, NotCovered, LogBroken."""
    if key.fingerprint != head.key:
        raise BadInput("the last final anchor states another key for exports; anchor again, `payriver audit anchor`")
    piece, hashes = stretch(cursor, *period, head), Hashes(cursor)
    left = [hashes(*each) for each in merkle.subtrees(0, piece.first)]
    right = [hashes(*each) for each in merkle.subtrees(piece.end, head.size)]
    written = hashlib.sha256()
    with _whole(folder) as fresh:
        with (fresh / "events.jsonl").open("wb") as file:
            leaves = _write(cursor, piece, file, written, progress)
            root = _root(piece, leaves, head, left, right)
        if root != head.root:
            raise LogBroken(
                "the events do not lead to the anchored root: some were changed, dropped or added; run `payriver verify`"
            )
        manifest = _manifest(head, key, period, piece, written.hexdigest(), left, right)
        text = canonical(manifest) + b"\n"
        (fresh / "manifest.json").write_bytes(text)
        (fresh / "manifest.sig").write_text(key.sign(text).hex() + "\n")
    return manifest


def _root(piece: Stretch, leaves: Iterable[bytes], head: Head, left: list[bytes], right: list[bytes]) -> bytes | None:
    """The root to which the leaves lead; None where they are more or fewer than the log has there."""
    try:
        return root_by_range(piece.first, leaves, head.size, left, right)
    except check.Refused:
        return None


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder that is there once all of it is; broken off, nothing is left, and of one that was killed nothing after the next. Raises BadInput
    where one is there."""
    if folder.exists() or folder.is_symlink():
        raise BadInput(f"{folder} is there already; name a folder that is not")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = unfinished(folder)
    try:
        fresh.mkdir()
        yield fresh
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _manifest(
    head: Head,
    key: ExportKey,
    period: tuple[datetime, datetime],
    piece: Stretch,
    digest: str,
    left: Sequence[bytes],
    right: Sequence[bytes],
) -> dict[str, Any]:
    """What is signed. `left`, `right`: the subtrees beside the piece, `digest`: SHA-256 of its lines."""
    return {
        "count": piece.end - piece.first,
        "events_sha256": digest,
        "exported_at": leaf.moment(datetime.now(UTC)),
        "first_index": piece.first,
        "first_position": piece.first_position,
        "format": check.EXPORT,
        "from": leaf.moment(period[0]),
        "last_position": piece.last_position,
        "left": [each.hex() for each in left],
        "log_id": head.log_id,
        "public_key": key.public.hex(),
        "right": [each.hex() for each in right],
        "root": head.root.hex(),
        "size": head.size,
        "to": leaf.moment(period[1]),
    }


def _write(cursor: Cursor, piece: Stretch, file: IO[bytes], written: Any, progress: Progress) -> Iterator[bytes]:
    """The leaves' hashes, as their lines are written: nothing is held in memory but a batch."""
    cursor.execute(EVENTS, (piece.first_position, piece.last_position))
    number = 0
    with cursor.connection.cursor() as rows:
        register_default_jsonb(rows, loads=orjson.loads)
        while batch := _next(rows):
            for row in batch:
                line = leaf.leaf(row)
                file.write(line + b"\n")
                written.update(line + b"\n")
                yield leaf_hash(line)
            number += len(batch)
            progress(number, piece.end - piece.first)


def _next(rows: Any) -> list[tuple[Any, ...]]:
    rows.execute(NEXT, (BATCH,))
    return list(rows.fetchall())
