"""Versions that a stream jumps over in its topic, fetched from the event store on W: a jump is never applied over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import NotFound
from streams.delivered import Delivered, from_store
from streams.event_store.recorder import COLUMNS, made

VISIBLE_SECONDS, PAUSE_SECONDS = 5.0, 0.05
"""An event is delivered once it is committed: W shows it, and all before it, in a moment. What it still does not show is none of its events."""
MISSING = f"""
SELECT gap.place, {COLUMNS}
FROM unnest(%s::uuid[], %s::int[], %s::int[]) WITH ORDINALITY AS gap (id, known, next, place)
INNER JOIN events ON events.stream_id = gap.id AND version > gap.known AND version < gap.next
ORDER BY gap.place, version
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing of a stream: the versions between `known` and `next`, both excluded."""

    stream_id: UUID
    known: int
    next: int


@dataclass(frozen=True)
class GapReader:
    """Reads the event store as the role `projections`, in a transaction of W's own."""

    write_engine: Engine

    def fill(self, gaps: Sequence[Gap]) -> dict[Gap, list[Delivered]]:
        """The missing events of each gap, in order. Raises NotFound where W does not show all of them, though it was given time."""
        until = time.monotonic() + VISIBLE_SECONDS
        while gaps:
            found = self.there(gaps)
            short = next((gap for gap, events in found.items() if len(events) != gap.next - gap.known - 1), None)
            if short is None:
                return found
            if time.monotonic() > until:
                raise NotFound(
                    f"stream {short.stream_id} is known to version {short.known}, version {short.next} came, and the event store shows"
                    f" {len(found[short])} of those between; was W restored? infra/runbooks/restore.md"
                )
            time.sleep(PAUSE_SECONDS)
        return {}

    def there(self, gaps: Sequence[Gap]) -> dict[Gap, list[Delivered]]:
        """What W shows of each now, in order."""
        with transaction(self.write_engine) as cursor:
            cursor.execute(MISSING, ([g.stream_id for g in gaps], [g.known for g in gaps], [g.next for g in gaps]))
            found: dict[Gap, list[Delivered]] = {gap: [] for gap in gaps}
            rows = cursor.fetchall()
            for (place, *_), event in zip(rows, made(columns for _, *columns in rows), strict=True):
                found[gaps[place - 1]].append(from_store(event))
        return found
