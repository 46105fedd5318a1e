"""An event as it is stored: where it stands, what it says, why it happened, and a hash over all of that."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from schemas.definition import Message, to_json
from schemas.upcasters import message_of
from streams.event_store.canonical import canonical, canonical_of_ours


class Cause(NamedTuple):
    """Why something is appended. `causation_id`: the command or event before it; `correlation_id`: the whole story."""

    causation_id: UUID
    correlation_id: UUID
    traceparent: str
    actor: str

    def metadata(self, command_type: str) -> dict[str, Any]:
        """As it is stored beside the event."""
        causation = str(self.causation_id)
        begins = self.correlation_id is self.causation_id
        return {
            "causation_id": causation,
            "correlation_id": causation if begins else str(self.correlation_id),
            "traceparent": self.traceparent,
            "actor": self.actor,
            "command": command_type,
        }


class NewEvent(NamedTuple):
    """An event that is about to be appended at `version` of its stream."""

    event_id: UUID
    stream_id: UUID
    version: int
    message: Message
    payload: dict[str, Any]
    metadata: dict[str, Any]
    hash: bytes


class Row(NamedTuple):
    """An event in the order of the store's columns. What few readers look at is still as PostgreSQL wrote it: ids, metadata, times, the hash."""

    position: int
    event_id_text: str
    stream_id: UUID
    version: int
    category: str
    type: str
    schema_version: int
    payload: dict[str, Any]
    metadata_text: str
    recorded_at_text: str
    hash_text: str


class RecordedEvent(Row):
    """An event as it was read back. Millions are made at a time: so four of its values are made when they are asked for, each time."""

    __slots__ = ()

    @property
    def event_id(self) -> UUID:
        """Its id."""
        return UUID(self.event_id_text)

    @property
    def metadata(self) -> dict[str, Any]:
        """Why it happened: `Cause.metadata`."""
        told: dict[str, Any] = orjson.loads(self.metadata_text)
        return told

    @property
    def recorded_at(self) -> datetime:
        """When it was appended, by the server's clock."""
        return datetime.fromisoformat(self.recorded_at_text)

    @property
    def hash(self) -> bytes:
        """sha256 over all that it says."""
        return bytes.fromhex(self.hash_text[2:])

    def message(self) -> Message:
        """The typed value as today's class says it, whichever version was stored. Raises UnknownType for a newer one."""
        return message_of(self.type, self.schema_version, self.payload)


def category_of(message: Message) -> str:
    """`payment`, `account` or `person`: which aggregate the event belongs to, by its topic."""
    return message.topic.partition(".")[0].removesuffix("s")


def event_hash(
    event_id: UUID, stream_id: UUID, version: int, kind: str, schema_version: int, payload: Any, metadata: Any
) -> bytes:
    """sha256 over the RFC 8785 form, so that any change of any field is found, and any JSON library can check it."""
    told = _told(event_id, stream_id, version, kind, schema_version, payload, metadata)
    return hashlib.sha256(canonical(told)).digest()


def _told(
    event_id: UUID, stream_id: UUID, version: int, kind: str, schema_version: int, payload: Any, metadata: Any
) -> dict[str, Any]:
    return {
        "event_id": str(event_id),
        "stream_id": str(stream_id),
        "version": version,
        "type": kind,
        "schema_version": schema_version,
        "payload": payload,
        "metadata": metadata,
    }


def new_event(event_id: UUID, version: int, message: Message, metadata: dict[str, Any]) -> NewEvent:
    """An event at its place in its stream, with its hash."""
    payload, cls, stream_id = to_json(message), type(message), message.key
    told = _told(event_id, stream_id, version, cls.__name__, cls.schema_version, payload, metadata)
    digest = hashlib.sha256(canonical_of_ours(told)).digest()
    return NewEvent(event_id, stream_id, version, message, payload, metadata, digest)
