"""Subject: the streams. Versions without a gap, every hash recomputed, every payload what its type says, heads as they should be."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from uuid import UUID

import orjson
import rfc8785

from connectors.verify.report import plain
from connectors.verify.snapshot import Aligned
from connectors.verify.walk import Context, Event, Subject
from schemas.definition import MESSAGES, to_json
from streams.domain.decisions import DECISIONS
from streams.event_store.recorded import category_of, event_hash

HEAD_COLUMNS = ("stream_id", "category", "version", "head_hash", "first_position", "archived_version")
HEADS = f"SELECT {', '.join(HEAD_COLUMNS)} FROM streams ORDER BY stream_id"
ORDERS = frozenset(cls.__name__ for cls in DECISIONS)
TRACEPARENT = re.compile(r"(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?\Z")
CAUSES = ("causation_id", "correlation_id", "traceparent", "actor", "command")


class Streams(Subject):
    """Holds events against their own hashes and their streams' heads."""

    def __init__(self, context: Context) -> None:
        self._findings = context.findings
        self._heads = Aligned(context.write.stream(HEADS), lambda row: row[0], self._headless)
        (self._newest,) = context.write.one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        self._last: Event | None = None
        self._first_position = self._archived_version = 0

    def event(self, event: Event) -> None:
        """Its place, its hash, its words."""
        before = self._last if self._last is not None and self._last.stream_id == event.stream_id else None
        if before is None:
            self._first_position, self._archived_version = event.position, 0
        self._place(event, before)
        self._shelf(event)
        self._hash(event)
        self._words(event)
        self._last = event
        self._findings.checked["events"] += 1

    def end(self, stream_id: UUID, category: str) -> None:
        """The head says what the last event is."""
        self._findings.checked["streams"] += 1
        last, heads = self._last, self._heads.take(stream_id)
        assert last is not None
        if not heads:
            self._findings.absent("streams", stream_id, f"version {last.version}", "a stream with events has a head")
            return
        found = dict(zip(HEAD_COLUMNS, heads[0], strict=True))
        expected = {"category": last.category, "version": last.version, "head_hash": last.hash}
        expected |= {"first_position": self._first_position, "archived_version": self._archived_version}
        self._findings.compare("streams", stream_id, found, expected, "the stream's events say otherwise")
        if found["archived_version"] != self._archived_version:
            about = "column archived: the stream's head says otherwise, or the head is wrong"
            said = f"up to version {found['archived_version']}"
            self._findings.differ("events", last.key, f"archived up to version {self._archived_version}", said, about)

    def finish(self) -> None:
        """No head without events."""
        self._heads.rest()

    def _headless(self, row: tuple[Any, ...]) -> None:
        self._findings.surplus("streams", row[0], f"version {row[2]}", "the stream has no events")

    def _place(self, event: Event, before: Event | None) -> None:
        version = before.version + 1 if before else 1
        self._findings.expect(
            "events", event.key, event.version, version, "column version: a gap, an event of this stream is missing"
        )
        if event.outbox is not None and event.outbox["position"] not in (None, str(event.position)):
            about = "column position: it was announced at another"
            self._findings.differ("events", event.key, event.position, event.outbox["position"], about)
        if event.transaction_id >= self._newest:
            about = "column transaction_id: no transaction has come so far"
            self._findings.differ("events", event.key, event.transaction_id, f"below {self._newest}", about)
        if before and (event.position <= before.position or event.recorded_at < before.recorded_at):
            found, least = (event.position, event.recorded_at), (before.position, before.recorded_at)
            self._findings.differ("events", event.key, found, f"after {least}", "position and time grow along a stream")

    def _shelf(self, event: Event) -> None:
        """What is archived is a stream's beginning: all of it up to some version."""
        if event.archived and event.version != self._archived_version + 1:
            about = "column archived: the event before it is not"
            self._findings.differ("events", event.key, event.archived, False, about)
        elif event.archived:
            self._archived_version = event.version

    def _hash(self, event: Event) -> None:
        if quick_hash(event) != event.hash and (expected := slow_hash(event)) != event.hash:
            self._findings.differ(
                "events", event.key, event.hash, expected, "column hash: some field of the event was changed"
            )

    def _words(self, event: Event) -> None:
        if event.message is None:
            known = "a type of the vocabulary" if event.type not in MESSAGES else f"the fields of {event.type}"
            self._findings.differ("events", event.key, event.payload, known, "column payload: cannot be read")
            return
        says = {"stream_id": event.message.key, "category": category_of(event.message)}
        found = {"stream_id": event.stream_id, "category": event.category}
        self._findings.compare("events", event.key, found, says, "the payload belongs elsewhere")
        if event.schema_version > event.message.schema_version or event.schema_version < 1:
            self._findings.differ(
                "events", event.key, event.schema_version, event.message.schema_version, "column schema_version"
            )
        if plain(to_json(event.message)) != event.payload and event.schema_version == event.message.schema_version:
            self._findings.differ("events", event.key, event.payload, to_json(event.message), "column payload")
        if (why := metadata_fault(event.metadata)) is not None:
            self._findings.differ("events", event.key, event.metadata, why, "column metadata")


def quick_hash(event: Event) -> bytes:
    """The event's hash by a fast JSON writer, whose sorted form is RFC 8785's for all that our payloads hold."""
    return hashlib.sha256(orjson.dumps(_told(event), option=orjson.OPT_SORT_KEYS)).digest()


def slow_hash(event: Event) -> bytes:
    """The event's hash by the book; empty for a payload that has no canonical form."""
    try:
        return event_hash(
            event.event_id,
            event.stream_id,
            event.version,
            event.type,
            event.schema_version,
            event.payload,
            event.metadata,
        )
    except rfc8785.CanonicalizationError:
        return b""


def _told(event: Event) -> dict[str, Any]:
    return {
        "event_id": str(event.event_id),
        "stream_id": str(event.stream_id),
        "version": event.version,
        "type": event.type,
        "schema_version": event.schema_version,
        "payload": event.payload,
        "metadata": event.metadata,
    }


def metadata_fault(metadata: Any) -> str | None:
    """What is wrong with an event's metadata, or None."""
    if not isinstance(metadata, dict) or set(metadata) != set(CAUSES):
        return f"exactly {', '.join(CAUSES)}"
    if not all(_is_id(metadata[name]) for name in ("causation_id", "correlation_id")):
        return "causation_id and correlation_id are UUIDs"
    if not (isinstance(metadata["traceparent"], str) and TRACEPARENT.match(metadata["traceparent"])):
        return "traceparent is a W3C trace context"
    if metadata["command"] not in ORDERS:
        return f"command is one of {', '.join(sorted(ORDERS))}"
    return None if metadata["actor"] else "actor says who"


def _is_id(value: Any) -> bool:
    try:
        return bool(str(UUID(value)) == value)
    except (TypeError, ValueError, AttributeError):
        return False
