"""Subject: the outbox. One row an event, saying the same in headers and bytes; every other row a command, or poison that was dealt with."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from connectors.verify.delivery.dropped import Dropped
from connectors.verify.snapshot import Row
from connectors.verify.walk import OUTBOX_COLUMNS, Context, Event, Subject
from infra.errors import BadInput
from schemas.codec import FRAME
from schemas.definition import Message
from schemas.topics import CHAIN_COMMANDS, SUBSCRIPTIONS, TOPICS

OTHERS = f"""
SELECT {", ".join(f"o.{name}" for name in OUTBOX_COLUMNS)}, a.command_id IS NOT NULL
FROM outbox AS o LEFT JOIN command_answers AS a ON a.command_id = o.id
WHERE NOT EXISTS (SELECT 1 FROM events AS e WHERE e.event_id = o.id) ORDER BY o.id
"""
PARKED = """
SELECT consumer, headers ->> 'ce_id', state, parked_id, topic, key, value, reason, headers FROM parked_messages
"""
LOST = "SELECT event_id, version, position, type, reason FROM lost_events ORDER BY position"
LEFT_OUT = "SELECT event_id, version, position FROM lost_events"
INTENTS = "SELECT leg_id, payment_id::text FROM chain_intents"
EVENT_TOPICS, COMMAND_TOPICS = (
    frozenset(topic.name for topic in TOPICS if topic.name.endswith(kind)) for kind in (".events", ".commands")
)
ENDED = ("discarded", "replayed")
HEADERS = ("id", *(name for name in OUTBOX_COLUMNS if name.startswith("ce_")), *OUTBOX_COLUMNS[-8:])
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
PLACED = "the record in the topics says something else than the event"


class Outbox(Subject):
    """Holds outbox rows against events, command answers and parked messages."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings, self._codec = context, context.findings, context.codec
        self._parked = _parked(context)
        self._dropped = Dropped(context)

    def event(self, event: Event) -> None:
        """The row that announces an event."""
        row = event.outbox
        if self._dropped.holds(event) and row is None:
            return
        self._findings.checked["outbox rows of events"] += 1
        if row is None:
            self._findings.absent("outbox", event.event_id, event.key, "nobody was ever told of this event")
            return
        self._findings.compare("outbox", event.event_id, row, announcement(event), PLACED)
        if event.message is not None and (fault := self._bytes_fault(row["payload"], event.message)):
            self._findings.differ("outbox", event.event_id, row["payload"], fault, "column payload: " + PLACED)

    def finish(self) -> None:
        """Rows that announce no event: commands, and poison."""
        known = {each for row in self._context.write.rows(INTENTS) for each in row}
        for *columns, answered in self._context.write.stream(OTHERS):
            row = dict(zip(OUTBOX_COLUMNS, columns, strict=True))
            self._findings.checked["outbox rows of commands"] += 1
            try:
                message = self._codec.decode(bytes(row["payload"]))
            except BadInput as error:
                if answered or (row["topic"] == CHAIN_COMMANDS and row["key"] in known):
                    about = f"column payload: it was carried out, and cannot be read now: {error}"
                    self._findings.differ("outbox", row["id"], row["payload"], row["type"], about)
                else:
                    self._poison(row, str(error))
                continue
            self._command(row, message, answered or getattr(message, "leg_id", None) in known)
        self._dropped.finish(lambda order: self._was_done(order, known))
        self._strange_parked()
        self._put_aside()

    def _put_aside(self) -> None:
        """What W put aside waits for a person, and R knows of it: else it would be shown."""
        known = set(self._context.read.rows(LEFT_OUT))
        for event_id, version, position, kind, reason in self._context.write.rows(LOST):
            self._findings.wait("lost_events", event_id, f"{kind} on the topics contradicts W, for a person: {reason}")
            if (event_id, version, position) not in known:
                self._findings.absent(
                    "lost_events", event_id, kind, "on R: the projector does not know that it was put aside"
                )
            known.discard((event_id, version, position))
        for event_id, version, position in known:
            self._findings.surplus(
                "lost_events", event_id, f"version {version} at {position}", "on R: W did not put it aside"
            )

    def _bytes_fault(self, payload: Any, message: Message) -> str | None:
        """What the bytes should be, or None. Bytes of an older schema need only say the same."""
        said = bytes(payload)
        try:
            expected = self._codec.encode(message)
            if said == expected:
                return None
            same = self._codec.decode(said) == message
        except BadInput as error:
            return f"{type(message).__name__}; {error}"
        older = said[: FRAME.size] != expected[: FRAME.size]
        return None if same and older else "0x" + expected.hex()

    def _command(self, row: Mapping[str, Any], message: Message, done: bool) -> None:
        """An order must say where it goes, and must have been carried out, or parked and ended by a person."""
        if message.topic not in COMMAND_TOPICS:
            self._findings.surplus(
                "outbox", row["id"], row["type"], "an event is announced that the store does not know"
            )
            return
        self._findings.compare("outbox", row["id"], row, _order(row, message), "the command's bytes say otherwise")
        if not TIME.match(row["ce_time"] or ""):
            self._findings.differ("outbox", row["id"], row["ce_time"], "RFC 3339, UTC, microseconds", "column ce_time")
        if not done and not self._ended(row):
            where = "chain_intents" if message.topic == CHAIN_COMMANDS else "command_answers"
            self._findings.absent(where, row["id"], row["type"], f"the command for {row['key']} was not carried out")

    def _poison(self, row: Mapping[str, Any], error: str) -> None:
        """Every consumer of its topic must have parked it, and a person have ended that."""
        readers = [each.component for each in SUBSCRIPTIONS if row["topic"] in each.topics]
        if not readers:
            self._findings.surplus("outbox", row["id"], row["topic"], "a record under a topic that nobody reads")
        for consumer in readers:
            parked, key = self._parked.get((consumer, str(row["id"]))), f"{consumer} {row['id']}"
            if parked is None:
                expected = "parked, and ended by a person"
                self._findings.absent("parked_messages", key, expected, f"poison: {error}")
            elif parked[2] == "replayed":
                about = f"column state: nobody can have taken poison: {error}"
                self._findings.differ("parked_messages", key, "replayed", "discarded", about)

    def _was_done(self, order: Row, known: Collection[str]) -> bool:
        """Whether an order whose row is gone was carried out: answered, made an intent of, or parked and ended by a person."""
        order_id, topic, key, kind, answered = order
        intended = topic == CHAIN_COMMANDS and key in known
        return answered == kind or intended or self._ended({"id": order_id, "topic": topic})

    def _ended(self, row: Mapping[str, Any]) -> bool:
        readers = [each.component for each in SUBSCRIPTIONS if row["topic"] in each.topics]
        states = [
            self._parked[consumer, str(row["id"])][2]
            for consumer in readers
            if (consumer, str(row["id"])) in self._parked
        ]
        return bool(states)  # one that is not ended is told below

    def _strange_parked(self) -> None:
        """Whatever is parked came through the outbox, byte by byte; and whatever still waits, waits for a person."""
        wanted = {row[1] for row in self._parked.values()}
        sent = _sent(self._context, wanted)
        went = self._dropped.went(_ids(wanted - sent.keys()))
        for (consumer, ce_id), row in self._parked.items():
            _, _, state, parked_id, topic, key, value, reason, headers = row
            self._findings.checked["parked messages"] += 1
            key_of = f"{parked_id} ({consumer})"
            if state not in ENDED:
                about = f"waits for a person: {reason or 'behind an earlier message of its key'}"
                self._findings.differ("parked_messages", key_of, state, " or ".join(ENDED), about)
            if ce_id in went:
                continue
            if ce_id not in sent:
                self._findings.surplus("parked_messages", key_of, ce_id, "no such message went through the outbox")
                self._findings.absent("outbox", ce_id, key_of, f"{consumer} parked it")
                continue
            found = {"topic": topic, "key": key, "payload": value, **{name: headers.get(name) for name in HEADERS}}
            told = {name: str(each) for name, each in sent[ce_id].items() if name in HEADERS and each is not None}
            expected = {name: sent[ce_id][name] for name in ("topic", "key", "payload")} | told
            self._findings.compare("parked_messages", key_of, found, expected, "the outbox says otherwise")
            self._findings.compare("outbox", ce_id, expected, found, f"what {consumer} parked says otherwise")


def announcement(event: Event) -> dict[str, Any]:
    """What the row that announces the event says, but for its bytes."""
    metadata = event.metadata if isinstance(event.metadata, dict) else {}
    return {
        "topic": f"{event.category}s.events",
        "key": str(event.stream_id),
        "type": event.type,
        "ce_specversion": "1.0",
        "ce_id": str(event.event_id),
        "ce_type": event.type,
        "ce_source": "payriver",
        "ce_subject": str(event.stream_id),
        "ce_time": event.recorded_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "traceparent": metadata.get("traceparent"),
        "causation_id": metadata.get("causation_id"),
        "correlation_id": metadata.get("correlation_id"),
        "stream_version": str(event.version),
        "position": str(event.position),
        "actor": metadata.get("actor"),
        "command": metadata.get("command"),
        "transaction_id": str(event.transaction_id),
    }


def _order(row: Mapping[str, Any], message: Message) -> dict[str, Any]:
    name, key = type(message).__name__, str(message.key)
    return {
        "topic": message.topic,
        "key": key,
        "type": name,
        "ce_specversion": "1.0",
        "ce_id": str(row["id"]),
        "ce_type": name,
        "ce_source": "payriver",
        "ce_subject": key,
        "stream_version": None,
        "position": None,
        "actor": None,
        "command": None,
        "transaction_id": None,
    }


def _parked(context: Context) -> dict[tuple[str, str], Row]:
    """Parked messages of both servers by (consumer, message id)."""
    rows = [*context.write.rows(PARKED), *context.read.rows(PARKED)]
    return {(row[0], row[1] or str(row[3])): row for row in rows}


def _sent(context: Context, wanted: Iterable[str | None]) -> dict[str | None, dict[str, Any]]:
    query = f"SELECT {', '.join(OUTBOX_COLUMNS)} FROM outbox WHERE id = ANY(%s::uuid[])"
    return {str(row["id"]): row for row in context.write.named(query, (_ids(wanted),))}


def _ids(wanted: Iterable[str | None]) -> list[UUID]:
    return [UUID(each) for each in wanted if each and len(each) == 36]
