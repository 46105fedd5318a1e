"""Who made the read models anew, when and for what reason: rows of `rebuilds` on R, written by role owner and never changed once they ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from infra.database import Cursor
from infra.errors import Conflict

COLUMNS = "rebuild_id, begun_at, begun_by, reason, code, state, events, ended_at, ended_by, end_reason"
BEGIN = f"INSERT INTO rebuilds (begun_by, reason, code, state) VALUES (%s, %s, %s, 'running') RETURNING {COLUMNS}"
END = """
UPDATE rebuilds SET state = %s, events = %s, ended_at = clock_timestamp(), ended_by = %s, end_reason = %s
WHERE state = 'running' AND rebuild_id = %s
"""
ALONE = "SELECT pg_try_advisory_lock(7212008)"


@dataclass(frozen=True, slots=True)
class RebuildRow:
    """One rebuild: `running`, `done`, or `abandoned` with its reason. `events`: that the copy held when it took its place."""

    rebuild_id: int
    begun_at: datetime
    begun_by: str
    reason: str
    code: bytes
    state: str
    events: int | None
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None


def find(cursor: Cursor, limit: int = 20) -> list[RebuildRow]:
    """The newest first."""
    cursor.execute(f"SELECT {COLUMNS} FROM rebuilds ORDER BY rebuild_id DESC LIMIT %s", (limit,))
    return [_row(row) for row in cursor.fetchall()]


def running(cursor: Cursor) -> RebuildRow | None:
    """The one that was begun and has not ended."""
    cursor.execute(f"SELECT {COLUMNS} FROM rebuilds WHERE state = 'running'")
    row = cursor.fetchone()
    return _row(row) if row else None


def begin(cursor: Cursor, by: str, reason: str, code: bytes) -> RebuildRow:
    """Written in the transaction that makes the copy ready."""
    cursor.execute(BEGIN, (by, reason, code))
    return _row(cursor.fetchall()[0])


def end(
    cursor: Cursor, row: RebuildRow, state: str, by: str, reason: str | None = None, events: int | None = None
) -> None:
    """Raises Conflict where it has ended already."""
    cursor.execute(END, (state, events, by, reason, row.rebuild_id))
    if cursor.rowcount != 1:
        raise Conflict(f"rebuild {row.rebuild_id} was ended by somebody else just now; look again")


def _row(row: tuple[object, ...]) -> RebuildRow:
    values: list[object] = [bytes(each) if isinstance(each, memoryview) else each for each in row]
    return RebuildRow(*values)  # type: ignore[arg-type]
