"""Writes a row for each webhook that is due to somebody: delivered events in, `webhook_messages` on W out. The sender sends them.

An endpoint is told of events recorded since it was enabled, whenever they are delivered: so a consumer rewound to the beginning
of its topics tells nobody anything twice, nor a newcomer what came before it. What was put aside is told to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from infra.database import Cursor
from schemas.codec import Codec
from streams import set_aside
from streams.delivered import Delivered, from_record
from streams.domain import ids
from streams.notifications.messages import body_of, type_of, wants
from streams.runtime.records import Record

# FOR SHARE: who disables an endpoint waits for the messages being made for it, and then parks them too.
ENABLED = "SELECT endpoint_id, event_types, enabled_at FROM webhook_endpoints WHERE state = 'enabled' ORDER BY endpoint_id FOR SHARE"
WRITE = """
INSERT INTO webhook_messages (message_id, endpoint_id, event_id, stream_id, type, body, state) VALUES %s ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Addressee:
    """An enabled endpoint, as far as choosing its messages goes."""

    endpoint_id: UUID
    event_types: Sequence[str]
    enabled_at: datetime


@dataclass(frozen=True)
class Notifier:
    """The handler of payments.events and accounts.events on W."""

    codec: Codec

    def apply(self, cursor: Cursor, records: Sequence[Record]) -> None:
        """Write the run's messages. Raises Undecodable, UnknownType for what is no event of ours."""
        told = [event for event in (from_record(self.codec, record) for record in records) if type_of(event.message)]
        addressees = _enabled(cursor) if told else []
        events = set_aside.without(cursor, told) if addressees else []
        rows = [row for event in events for row in rows_of(event, str(type_of(event.message)), addressees)]
        cursor.postpone_values(WRITE, rows)


def rows_of(event: Delivered, name: str, addressees: Sequence[Addressee]) -> list[tuple[Any, ...]]:
    """One row for each endpoint that wants the event; the message's id follows from both."""
    chosen = [each for each in addressees if event.recorded_at >= each.enabled_at and wants(each.event_types, name)]
    body = body_of(event, name) if chosen else ""
    return [
        (
            ids.step_id(event.event_id, f"webhook {each.endpoint_id}"),
            each.endpoint_id,
            event.event_id,
            event.stream_id,
            name,
            body,
            "waiting",
        )
        for each in chosen
    ]


def _enabled(cursor: Cursor) -> list[Addressee]:
    cursor.execute(ENABLED)
    return [Addressee(*row) for row in cursor.fetchall()]
