"""Points in a stream's past: a version, a time, a block; and which version of a stream stood there.

A time is the write server's. A block N is the moment before we took a block above N: of what tells of a block when it is *seen* the
block's number decides (several blocks may be taken at once), of everything else when it was recorded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from infra.database import Cursor
from infra.errors import BadInput, NotFound
from infra.moments import in_utc

TOLD_LATER = (
    "TransferUnseen", "TransferFinalized", "AllowanceRaiseFinalized", "LegUnseen", "LegSettled", "DelayQueueEmptied",
    "DriftObserved",
)  # fmt: skip
"""Events that tell of a block some time after it was seen: when it became final, or was dropped; but for what was final at first sight."""
FIRST = "SELECT version, recorded_at, clock_timestamp() FROM events WHERE stream_id = %s ORDER BY version LIMIT 1"
NEWEST = "SELECT version, category FROM streams WHERE stream_id = %s"
BY_TIME = "SELECT max(version) FROM events WHERE stream_id = %s AND recorded_at <= %s"
BY_BLOCK = """
SELECT min(version) - 1 FROM events
WHERE stream_id = %(stream)s AND CASE
    WHEN payload ? 'block_number' AND (NOT type = ANY(%(later)s) OR payload ->> 'at_first_sight' = 'true')
    THEN (payload ->> 'block_number')::bigint > %(number)s
    ELSE recorded_at >= (SELECT min(b.recorded_at) FROM chain_blocks AS b WHERE b.number > %(number)s)
END
"""
NEWEST_BLOCK = "SELECT coalesce(max(number), 0) FROM chain_blocks"
BLOCK_OF_TIME = (
    "SELECT number, time FROM chain_blocks WHERE state <> 'orphaned' AND recorded_at <= %s ORDER BY number DESC LIMIT 1"
)
BLOCK_OF_NUMBER = (
    "SELECT number, time FROM chain_blocks WHERE state <> 'orphaned' AND number <= %s ORDER BY number DESC LIMIT 1"
)


@dataclass(frozen=True)
class AtVersion:
    """After the stream's event of this version."""

    version: int

    def __str__(self) -> str:
        return f"version {self.version}"


@dataclass(frozen=True)
class AtTime:
    """After all that was recorded at or before this moment."""

    moment: datetime

    def __str__(self) -> str:
        return self.moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class AtBlock:
    """Before a block above this number was taken."""

    number: int

    def __str__(self) -> str:
        return f"block {self.number}"


Point: TypeAlias = AtVersion | AtTime | AtBlock
HOW = "a version (7), a time with its zone (2026-03-01T12:00:00Z; a day alone begins at 00:00 UTC), or block:41022"


def point_of(text: str) -> Point:
    """What a person or a caller wrote. Raises BadInput."""
    told = text.strip()
    if found := re.fullmatch(r"v?([0-9]{1,9})", told):
        return AtVersion(int(found[1]))
    if found := re.fullmatch(r"(?:block:|b)([0-9]{1,18})", told):
        return AtBlock(int(found[1]))
    try:
        moment = datetime.fromisoformat(told)
        return AtTime(in_utc(moment.replace(tzinfo=UTC) if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", told) else moment))
    except ValueError as error:
        raise BadInput(f"{text[:80]!r} is no point in time ({error}): give {HOW}") from None


def version_at(cursor: Cursor, stream_id: UUID, point: Point) -> int:
    """The stream's version at a point. Raises NotFound where there was no stream yet, BadInput for what is still to come."""
    cursor.execute(FIRST, (stream_id,))
    first = cursor.fetchone()
    if first is None:
        raise NotFound(f"there is no stream {stream_id}")
    version = _version(cursor, stream_id, point, now=first[2])
    if version < 1:
        raise NotFound(
            f"as of {point} there was no {stream_id} yet: its first event was recorded at {AtTime(first[1])}"
        )
    return version


def _version(cursor: Cursor, stream_id: UUID, point: Point, now: datetime) -> int:
    cursor.execute(NEWEST, (stream_id,))
    newest = int(cursor.fetchall()[0][0])
    if isinstance(point, AtVersion):
        if point.version > newest:
            raise BadInput(f"{point} is still to come: {stream_id} is at version {newest}")
        return point.version
    if isinstance(point, AtTime):
        if point.moment > now:
            raise BadInput(f"{point} is still to come: by the write server it is {AtTime(now)}")
        cursor.execute(BY_TIME, (stream_id, point.moment))
        return int(cursor.fetchall()[0][0] or 0)
    cursor.execute(NEWEST_BLOCK)
    if point.number > (seen := cursor.fetchall()[0][0]):
        raise BadInput(f"{point} is still to come: the newest block seen is {seen}")
    cursor.execute(BY_BLOCK, {"stream": stream_id, "number": point.number, "later": list(TOLD_LATER)})
    before = cursor.fetchall()[0][0]
    return newest if before is None else int(before)


def block_at(cursor: Cursor, point: Point, recorded_at: datetime) -> tuple[int, int] | None:
    """(number, Unix seconds) of the newest block known at a point, whose event was recorded then; None before the first."""
    if isinstance(point, AtBlock):
        cursor.execute(BLOCK_OF_NUMBER, (point.number,))
    else:
        cursor.execute(BLOCK_OF_TIME, (point.moment if isinstance(point, AtTime) else recorded_at,))
    row = cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else None
