"""Subject: command answers. Each names exactly the events that its command led to, and keeps the order as it was asked; no event has none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import rfc8785

from connectors.verify.snapshot import Row
from connectors.verify.walk import MALFORMED, Context
from infra.errors import BadInput
from streams.domain import ids
from streams.domain.decisions import DECISIONS
from streams.orders import UNKNOWN, business_of, fingerprint_of

ANSWERS = """
SELECT a.command_id, a.type, a.business, a.fingerprint, a.answer, o.payload
FROM command_answers AS a LEFT JOIN outbox AS o ON o.id = a.command_id ORDER BY a.command_id
"""
EVENTS = """
SELECT event_id, metadata ->> 'command', transaction_id::text, payload, type FROM events WHERE event_id = ANY(%s::uuid[])
"""
UNANSWERED = "SELECT event_id, stream_id, version, type FROM events ORDER BY position"
OF_ITS_OWN = frozenset(
    {("ForgettingRefused", "reason"), ("CardMessageRefused", "reason"), ("AllowanceObserved", "cause")}
)
"""Fields that an event and its order both have and mean differently: a refusal gives its own reason, not the asker's (a dispute is asked for
because of fraud, and refused since there is one); a reading after a reorg is asked for as `reorg`, and may be told as `unspent`."""
TYPES = frozenset(cls.__name__ for cls in DECISIONS)
BATCH = 1000
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:")


class Answers:
    """Holds command answers against events and outbox."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._answered = 0

    def check(self) -> None:
        """All answers, a batch at a time."""
        (total,) = self._context.write.one("SELECT count(*) FROM command_answers")
        batch: list[Row] = []
        for number, row in enumerate(self._context.write.stream(ANSWERS), 1):
            batch.append(row)
            if len(batch) == BATCH:
                self._batch(batch)
                self._context.progress("command answers", number, total)
                batch = []
        self._batch(batch)
        (events,) = self._context.write.one("SELECT count(*) FROM events")
        if self._answered != events:
            self._find_unanswered()

    def _batch(self, rows: Sequence[Row]) -> None:
        wanted = [each for row in rows for each in listed(row[4]) or []]
        found = {row[0]: row[1:] for row in self._context.write.rows(EVENTS, (wanted,))} if wanted else {}
        for row in rows:
            self._findings.checked["command answers"] += 1
            self._order(row)
            self._events(row, found)

    def _order(self, row: Row) -> None:
        """Type, business fields, fingerprint; and what the outbox carried, where the command went through it."""
        command_id, kind, business, fingerprint, _, payload = row
        if kind not in TYPES:
            self._findings.differ("command_answers", command_id, kind, "an order or a fact we decide", "column type")
        try:
            expected = fingerprint_of(business)
        except (rfc8785.CanonicalizationError, *MALFORMED):
            expected = b""
        if bytes(fingerprint) != expected:
            about = "column fingerprint: is not that of the business fields"
            self._findings.differ("command_answers", command_id, fingerprint, expected, about)
        if payload is not None and business != UNKNOWN:
            self._sent(command_id, kind, business, bytes(payload))

    def _sent(self, command_id: UUID, kind: str, business: Any, payload: bytes) -> None:
        try:
            message = self._context.codec.decode(payload)
        except BadInput:
            return  # told with the outbox
        about = "the command that went through the outbox says otherwise"
        self._findings.expect("command_answers", command_id, kind, type(message).__name__, f"column type: {about}")
        self._findings.expect(
            "command_answers", command_id, business, business_of(message), f"column business: {about}"
        )

    def _events(self, row: Row, found: Mapping[UUID, Any]) -> None:
        """Exactly the events whose ids follow from the command's, all of one transaction."""
        command_id, kind, business, _, answer, _ = row
        events = listed(answer)
        if events is None:
            self._findings.differ("command_answers", command_id, answer, '{"events": [...]}', "column answer")
            return
        expected = [ids.event_id(command_id, place) for place in range(len(events))]
        if events != expected:
            about = "column answer: the ids do not follow from the command's"
            self._findings.differ(
                "command_answers", command_id, [str(e) for e in events], [str(e) for e in expected], about
            )
        known = [found[each] for each in events if each in found]
        self._answered += len(
            {each for each, right in zip(events, expected, strict=True) if each == right and each in found}
        )
        for each in events:
            if each not in found:
                self._findings.absent("events", each, f"an event of {kind} {command_id}", "the answer names it")
        if any(command != kind for command, *_ in known):
            about = "column type: its events name another command"
            self._findings.differ("command_answers", command_id, kind, known[0][0], about)
        if len({transaction for _, transaction, *_ in known}) > 1:
            about = f"column transaction_id: the events of command {command_id} were appended together"
            self._findings.differ("events", ", ".join(map(str, events)), "several transactions", "one", about)
        if known:
            self._first(command_id, business, *known[0][2:])

    def _first(self, command_id: UUID, business: Any, payload: Any, kind: str) -> None:
        """What the order and its first event both name, they name alike."""
        if not isinstance(business, dict) or not isinstance(payload, dict):
            return
        told = business.get("transfer", business)
        for name in told.keys() & payload.keys() if isinstance(told, dict) else ():
            if (kind, name) not in OF_ITS_OWN and _text(told[name]) != _text(payload[name]):
                about = f"column business, {name}: its first event says otherwise"
                self._findings.differ("command_answers", command_id, told[name], payload[name], about)

    def _find_unanswered(self) -> None:
        """There are events that no answer names: say which. Only now are all the named ones held in memory."""
        named = {
            each.bytes
            for row in self._context.write.stream(ANSWERS)
            for place, each in enumerate(listed(row[4]) or [])
            if each == ids.event_id(row[0], place)
        }
        for event_id, stream_id, version, kind in self._context.write.stream(UNANSWERED):
            if event_id.bytes not in named:
                about = f"no command's answer names {kind}, version {version} of {stream_id}"
                self._findings.absent("command_answers", event_id, "an answer", about)


def listed(answer: Any) -> list[UUID] | None:
    """The events that an answer names; None where it is no answer."""
    try:
        return [UUID(each) for each in answer["events"]] if set(answer) == {"events"} else None
    except MALFORMED:
        return None


def _text(value: Any) -> str | None:
    """The value as it is compared. A moment is told in words of its own by an order and by an event."""
    if not isinstance(value, str) or not MOMENT.match(value):
        return None if value is None else str(value)
    try:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    except ValueError:
        return value
