"""An event as it came over Kafka, or out of the event store where a gap had to be filled: what every reader of events folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from infra.errors import Undecodable
from schemas.codec import Codec
from schemas.definition import Message
from streams.event_store.recorded import RecordedEvent
from streams.runtime.records import Record


@dataclass(frozen=True, slots=True)
class Delivered:
    """One event: where it stands in its stream and in the store, what it says, and (topic, partition, offset) if it came over Kafka."""

    event_id: UUID
    stream_id: UUID
    version: int
    position: int
    message: Message
    recorded_at: datetime
    headers: Mapping[str, str]
    place: tuple[str, int, int] | None

    @property
    def type(self) -> str:
        """The message type's one name."""
        return type(self.message).__name__


def from_record(codec: Codec, record: Record) -> Delivered:
    """A record of an events topic. Raises Undecodable for one that did not come through our outbox, UnknownType for one we lack."""
    message = codec.decode(record.value)
    event = Delivered(
        event_id=record.header("ce_id", UUID),
        stream_id=message.key,
        version=record.header("stream_version", int),
        position=record.header("position", int),
        message=message,
        recorded_at=record.header("ce_time", datetime.fromisoformat).astimezone(UTC),
        headers=record.headers,
        place=(record.topic, record.partition, record.offset),
    )
    told = record.headers.get("ce_type"), record.topic, record.key_text
    if told != (event.type, message.topic, str(message.key)):
        raise Undecodable(
            f"type, topic and key are {told}, but the value is a {event.type} of {message.key}: a forged record"
        )
    return event


def from_store(recorded: RecordedEvent) -> Delivered:
    """The same event as the store keeps it."""
    kept, told = ("traceparent", "causation_id", "correlation_id"), recorded.metadata
    return Delivered(
        event_id=recorded.event_id,
        stream_id=recorded.stream_id,
        version=recorded.version,
        position=recorded.position,
        message=recorded.message(),
        recorded_at=recorded.recorded_at,
        headers={name: told[name] for name in kept if told.get(name)},
        place=None,
    )
