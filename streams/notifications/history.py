"""Who did what to an endpoint, when and why: rows of `webhook_actions`, written with what they tell of and never changed. No secret is in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from infra.database import Cursor

NOTE = """
INSERT INTO webhook_actions (endpoint_id, number, action, done_by, reason, told)
SELECT %(id)s, coalesce(max(number), 0) + 1, %(action)s, %(by)s, %(reason)s, %(told)s FROM webhook_actions WHERE endpoint_id = %(id)s
"""
FIND = (
    "SELECT number, action, done_by, reason, told, done_at FROM webhook_actions WHERE endpoint_id = %s ORDER BY number"
)


@dataclass(frozen=True, slots=True)
class Action:
    """One of them. `told`: what became of the endpoint, and what it was before."""

    number: int
    action: str
    done_by: str
    reason: str | None
    told: dict[str, Any]
    done_at: datetime


def note(cursor: Cursor, endpoint_id: UUID, action: str, by: str, reason: str | None = None, **told: Any) -> None:
    """Write it down, in the transaction that does it, with the endpoint's row locked."""
    cursor.execute(NOTE, {"id": endpoint_id, "action": action, "by": by, "reason": reason, "told": Json(told)})


def find(cursor: Cursor, endpoint_id: UUID) -> list[Action]:
    """All of an endpoint's, in order."""
    cursor.execute(FIND, (endpoint_id,))
    return [Action(*row) for row in cursor.fetchall()]
