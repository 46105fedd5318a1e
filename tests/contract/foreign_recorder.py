"""Our low door as the `eventsourcing` library's recorder: what its conformance suites are run against.

Its events count from 0 and carry a topic and opaque bytes; they have no id of their own, so each insert is of new events.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)
from sqlalchemy import Engine

from infra.database import transaction
from infra.errors import VersionConflict
from streams.event_store import recorder, subscription
from streams.event_store.recorded import RecordedEvent
from streams.event_store.recorder import MAX_POSITION, MAX_VERSION, Entry


class OurAggregateRecorder(AggregateRecorder):
    """Inserts and selects through the low door; each call is a transaction."""

    def __init__(self, source: Engine) -> None:
        self.source = source

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        self._insert(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        assert isinstance(originator_id, UUID)
        versions = {"gt": 0 if gt is None else gt + 1, "lte": MAX_VERSION if lte is None else lte + 1}
        with transaction(self.source) as cursor:
            found = recorder.select_stream(cursor, originator_id, **versions, descending=desc, limit=limit)
        return [StoredEvent(**_told(event)) for event in found]

    def _insert(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        try:
            with transaction(self.source) as cursor:
                return recorder.insert(cursor, [_entry(each) for each in stored_events])
        except VersionConflict as error:
            raise IntegrityError(str(error)) from error


class OurApplicationRecorder(OurAggregateRecorder, ApplicationRecorder):
    """The same, with all events by position."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        return self._insert(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = 0 if start is None else start - inclusive_of_start
        up_to = MAX_POSITION if stop is None else stop
        with transaction(self.source) as cursor:
            found = recorder.select_all(cursor, after=after, up_to=up_to, limit=limit, types=topics or None)
        return [_notification(event) for event in found]

    def max_notification_id(self) -> int | None:
        with transaction(self.source) as cursor:
            return recorder.highest_position(cursor) or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return OurSubscription(self, gt, topics)


class OurSubscription(Subscription[OurApplicationRecorder]):
    """Our subscription behind theirs."""

    def __init__(self, recorder: OurApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._ours = subscription.Subscription(recorder.source, after=gt or 0, types=topics or None)
        self._events: Iterator[RecordedEvent] = iter(self._ours)

    def stop(self) -> None:
        super().stop()
        self._ours.stop()

    def __next__(self) -> Notification:
        return _notification(next(self._events))


def _entry(event: StoredEvent) -> Entry:
    assert isinstance(event.originator_id, UUID)
    event_id = uuid4()
    said = f"{event_id} {event.originator_id} {event.originator_version} {event.topic} ".encode() + event.state
    return Entry(
        event_id=event_id,
        stream_id=event.originator_id,
        version=event.originator_version + 1,
        category="payment",
        type=event.topic,
        schema_version=1,
        payload={"state": base64.b64encode(event.state).decode()},
        metadata={},
        hash=hashlib.sha256(said).digest(),
        topic="payments.events",
        record=event.state,
    )


def _told(event: RecordedEvent) -> dict[str, Any]:
    return {
        "originator_id": event.stream_id,
        "originator_version": event.version - 1,
        "topic": event.type,
        "state": base64.b64decode(event.payload["state"]),
    }


def _notification(event: RecordedEvent) -> Notification:
    return Notification(id=event.position, **_told(event))
