"""The walk: every event once, stream by stream in order, shown to every subject that holds something against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from connectors.debezium.register import HEADERS
from connectors.verify.report import Findings
from connectors.verify.snapshot import Snapshot
from infra.errors import UnknownType
from schemas.codec import Codec
from schemas.definition import Message
from schemas.upcasters import message_of

OUTBOX_COLUMNS = ("id", "topic", "key", "type", "payload", *HEADERS)
EVENTS = f"""
SELECT e.position, e.event_id, e.stream_id, e.version, e.category, e.type, e.schema_version, e.payload, e.metadata,
       e.recorded_at, e.hash, e.transaction_id::text::bigint, e.archived, {", ".join(f"o.{name}" for name in OUTBOX_COLUMNS)}
FROM events AS e LEFT JOIN outbox AS o ON o.id = e.event_id
ORDER BY e.stream_id, e.version
"""
SHOW_EVERY = 500
MALFORMED = (UnknownType, KeyError, TypeError, ValueError, AttributeError)
"""What reading or folding something that was tampered with may raise."""

Progress = Callable[[str, int, int], None]
"""(what is looked at, how many so far, of how many)"""


@dataclass(frozen=True)
class Context:
    """What every subject stands on. `node` and `chain` are None where the audit is told to leave the chain out."""

    write: Snapshot
    read: Snapshot
    codec: Codec
    findings: Findings
    chain: ChainSettings | None
    node: Rpc | None
    progress: Progress


@dataclass(slots=True)
class Event:
    """A stored event with its outbox row. `message` is None where the payload is not what its type says."""

    position: int
    event_id: UUID
    stream_id: UUID
    version: int
    category: str
    type: str
    schema_version: int
    payload: Any
    metadata: Any
    recorded_at: datetime
    hash: bytes
    transaction_id: int
    archived: bool
    outbox: dict[str, Any] | None
    message: Message | None

    @property
    def key(self) -> str:
        """The event as a difference names it: its id, and its place for a person."""
        return f"{self.event_id} ({self.stream_id} version {self.version}, {self.type})"


class Subject:
    """One thing that is audited on the walk. All three do nothing unless a subject says otherwise."""

    def event(self, event: Event) -> None:
        """An event of the present stream."""

    def end(self, stream_id: UUID, category: str) -> None:
        """The stream's events are over."""

    def finish(self) -> None:
        """All streams are over."""


class PaymentSubject(Subject):
    """One that is shown a payment when all its events are together."""

    def __init__(self) -> None:
        self._history: list[Event] = []

    def event(self, event: Event) -> None:
        """Keep the payment's history until it is whole."""
        if event.category == "payment":
            self._history.append(event)

    def end(self, stream_id: UUID, category: str) -> None:
        """The history is whole."""
        if category == "payment":
            history, self._history = self._history, []
            self.payment(stream_id, history)

    def payment(self, payment_id: UUID, history: Sequence[Event]) -> None:
        """A payment, and all that happened to it."""


def walk(context: Context, subjects: Sequence[Subject]) -> None:
    """Show every event to every subject."""
    (total,) = context.write.one("SELECT count(*) FROM events")
    present: Event | None = None
    for number, row in enumerate(context.write.stream(EVENTS), 1):
        event = _event(row)
        if present is not None and present.stream_id != event.stream_id:
            for subject in subjects:
                subject.end(present.stream_id, present.category)
        for subject in subjects:
            subject.event(event)
        present = event
        if number % SHOW_EVERY == 0:
            context.progress("events", number, total)
    for subject in subjects if present is not None else ():
        subject.end(present.stream_id, present.category)  # type: ignore[union-attr]
    context.progress("events", total, total)
    for subject in subjects:
        subject.finish()


def _event(row: tuple[Any, ...]) -> Event:
    told, sent = row[:13], row[13:]
    outbox = dict(zip(OUTBOX_COLUMNS, sent, strict=True)) if sent[0] is not None else None
    try:
        message: Message | None = message_of(told[5], told[6], told[7])
    except MALFORMED:
        message = None
    values: tuple[Any, ...] = (*told[:10], bytes(told[10]), *told[11:], outbox, message)
    return Event(*values)
