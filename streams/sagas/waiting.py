"""Sagas that no message and no timeout will end by themselves: parked for a person, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from infra.database import Cursor
from streams.sagas.authorization import DEADLINE, EXPIRY, PARKED, PATIENCE, ROWS

TIMEOUTS = (DEADLINE, EXPIRY, PATIENCE)
FIND = """
SELECT s.saga_id, s.type, s.state, s.reason, s.changed_at,
    (SELECT from_state FROM saga_steps AS h WHERE h.saga_id = s.saga_id AND h.to_state = 'parked' ORDER BY step DESC LIMIT 1)
FROM sagas AS s
WHERE s.state = coalesce(%s, s.state) AND s.saga_id = coalesce(%s, s.saga_id)
ORDER BY s.changed_at, s.saga_id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class WaitingSaga:
    """A saga as a person sees it. `stuck_in`: the state in which it got stuck."""

    saga_id: UUID
    type: str
    state: str
    reason: str | None
    since: datetime
    stuck_in: str | None


def find(cursor: Cursor, *, saga_id: UUID | None = None, limit: int = 1000) -> list[WaitingSaga]:
    """Those that are parked, longest first; or one by its payment's id, in whatever state it is."""
    cursor.execute(FIND, (PARKED if saga_id is None else None, saga_id, limit))
    return [WaitingSaga(*row) for row in cursor.fetchall()]


def ways_on(stuck_in: str | None) -> list[str]:
    """The events that take a saga on by themselves from the state in which it got stuck, out of the saga's own table."""
    rows = [row for row in ROWS if stuck_in in row.states and not row.park]
    return sorted({name for row in rows for name in row.inputs if name not in TIMEOUTS})
