"""Events that were put aside, since W contradicts them: they stand on the topics for ever, and whoever folds or tells events leaves them out.

W's table `lost_events` is written by `payriver recover`; R has who they are in a table of the same name, so that its projector asks its own server.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from infra.database import Cursor
from streams.delivered import Delivered

PUT_ASIDE = "SELECT event_id, version, position FROM lost_events WHERE event_id = ANY(%s)"
ALL = "SELECT event_id, version, position FROM lost_events"
KNOW = "INSERT INTO lost_events (event_id, version, position) VALUES %s ON CONFLICT (event_id) DO NOTHING"

Identity = tuple[UUID, int, int]
"""An event's id, its version and its position: an event that W holds under one id elsewhere is not the one that was put aside."""


def without(cursor: Cursor, events: Sequence[Delivered]) -> list[Delivered]:
    """Those that were not put aside, in their order; on either server."""
    cursor.execute(PUT_ASIDE, ([event.event_id for event in events],))
    aside: set[Identity] = set(cursor.fetchall())
    return [event for event in events if (event.event_id, event.version, event.position) not in aside]


def tell(write: Cursor, read: Cursor) -> int:
    """Let R know all that W has put aside, as role owner; gives how many there are."""
    write.execute(ALL)
    found: list[Identity] = write.fetchall()
    read.postpone_values(KNOW, found)
    return len(found)
