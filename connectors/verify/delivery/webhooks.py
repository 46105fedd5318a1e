"""Subject: webhooks. Each message belongs to an event and an endpoint that wants it, says what the event says, and was tried as it claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import Context, Event, Subject
from streams.delivered import Delivered
from streams.domain import ids
from streams.notifications.messages import body_of, type_of, wants

# What was delivered before the filter was this one was chosen by the one of before.
ENDPOINTS = "SELECT endpoint_id, event_types, state, greatest(enabled_at, types_since) FROM webhook_endpoints"
SECRETS = """
SELECT e.endpoint_id, e.state = 'removed', count(s.number) FILTER (WHERE s.signs_until IS NULL), count(s.number), min(s.number), max(s.number)
FROM webhook_endpoints AS e LEFT JOIN webhook_secrets AS s USING (endpoint_id) GROUP BY e.endpoint_id ORDER BY e.endpoint_id
"""
ACTIONS = """
SELECT e.endpoint_id, count(a.number), min(a.number), max(a.number), min(a.action) FILTER (WHERE a.number = 1)
FROM webhook_endpoints AS e LEFT JOIN webhook_actions AS a USING (endpoint_id) GROUP BY e.endpoint_id ORDER BY e.endpoint_id
"""
MESSAGES = """
SELECT m.stream_id, m.event_id, m.message_id, m.endpoint_id, m.type, m.body, m.state, m.attempts, m.reason, m.ended_at IS NOT NULL,
       a.tries, a.first, a.last, a.taken, m.replayed_after
FROM webhook_messages AS m
LEFT JOIN (SELECT message_id, count(*) AS tries, min(attempt) AS first, max(attempt) AS last,
                  max(attempt) FILTER (WHERE status BETWEEN 200 AND 299) AS taken FROM webhook_attempts GROUP BY message_id) AS a
    ON a.message_id = m.message_id
ORDER BY m.stream_id, m.event_id
"""
MESSAGE = (
    "stream_id", "event_id", "message_id", "endpoint_id", "type", "body", "state", "attempts", "reason", "ended", "tries",
    "first", "last", "taken", "replayed_after",
)  # fmt: skip


class Webhooks(Subject):
    """Holds webhook messages and attempts against events and endpoints."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._endpoints = {row[0]: row[1:] for row in context.write.rows(ENDPOINTS)}
        self._rows = Aligned(context.write.stream(MESSAGES), lambda row: row[0], self._stray)
        self._stream: UUID | None = None
        self._messages: dict[UUID, list[dict[str, Any]]] = {}

    def event(self, event: Event) -> None:
        """Its messages, one for each endpoint."""
        if self._stream != event.stream_id:
            self._stream, self._messages = event.stream_id, {}
            for row in self._rows.take(event.stream_id):
                message = dict(zip(MESSAGE, row, strict=True))
                self._messages.setdefault(message["event_id"], []).append(message)
        found = self._messages.pop(event.event_id, [])
        name = type_of(event.message) if event.message is not None else None
        for message in found:
            self._message(event, name, message)
        self._missing(event, name, found)

    def end(self, stream_id: UUID, category: str) -> None:
        """No message without its event."""
        for messages in self._messages.values():
            for message in messages:
                about = f"stream {stream_id} has no event {message['event_id']}"
                self._findings.surplus("webhook_messages", message["message_id"], message["type"], about)
        self._messages = {}

    def finish(self) -> None:
        """Nothing is left over; each endpoint has a secret, unless it was removed, and what was done to it is told from its beginning."""
        self._rows.rest()
        for endpoint_id, removed, newest, count, first, last in self._context.write.rows(SECRETS):
            found, expected = (newest, first, last), (0 if removed else 1, 1, count)
            self._findings.expect(
                "webhook_secrets", endpoint_id, found, expected, "one that signs until it is rotated, and no gap"
            )
        for endpoint_id, count, first, last, begun in self._context.write.rows(ACTIONS):
            found = (begun, first, last)
            self._findings.expect(
                "webhook_actions", endpoint_id, found, ("registered", 1, count), "actions, without a gap"
            )

    def _message(self, event: Event, name: str | None, message: Mapping[str, Any]) -> None:
        key = message["message_id"]
        self._findings.checked["webhook messages"] += 1
        if name is None:
            self._findings.surplus("webhook_messages", key, message["type"], "nobody is told of this event")
            return
        if message["endpoint_id"] not in self._endpoints:
            self._findings.absent(
                "webhook_endpoints", message["endpoint_id"], "an endpoint", f"message {key} is for it"
            )
        expected = {
            "message_id": ids.step_id(event.event_id, f"webhook {message['endpoint_id']}"),
            "type": name,
            "body": body_of(_delivered(event), name),
        }
        self._findings.compare("webhook_messages", key, message, expected, f"is not what {event.key} says")
        self._tried(key, message)

    def _tried(self, key: UUID, message: Mapping[str, Any]) -> None:
        """Attempts are numbered without a gap; only an answer of 2xx is a delivery. One that came late, after another attempt began, is not."""
        tries, attempts = message["tries"] or 0, message["attempts"]
        self._findings.checked["webhook attempts"] += tries
        if (tries, message["first"] or 1, message["last"] or 0) != (attempts, 1, attempts):
            found = f"{tries} attempts, {message['first']} to {message['last']}"
            about = "attempts are counted without a gap"
            self._findings.differ("webhook_attempts", key, found, f"1 to {attempts}", about)
            self._findings.differ("webhook_messages", key, attempts, tries, f"column attempts: {about}")
        taken, since = message["taken"], message["replayed_after"]
        if message["state"] == "delivered" and taken is None:
            about = "column state: no attempt was answered with 2xx"
            self._findings.differ("webhook_messages", key, "delivered", "not delivered", about)
        if message["state"] != "delivered" and taken is not None and taken == attempts > since:
            about = "column state: the newest attempt was answered with 2xx"
            self._findings.differ("webhook_messages", key, message["state"], "delivered", about)
        if message["ended"] != (message["state"] != "waiting"):
            self._findings.differ(
                "webhook_messages", key, message["ended"], message["state"] != "waiting", "column ended_at"
            )
        if message["state"] == "parked":
            self._findings.wait("webhook_messages", key, f"parked: {message['reason']}")

    def _missing(self, event: Event, name: str | None, found: Sequence[Mapping[str, Any]]) -> None:
        told = {message["endpoint_id"] for message in found}
        for endpoint_id, (event_types, state, enabled_at) in self._endpoints.items() if name is not None else ():
            wanted = state == "enabled" and event.recorded_at >= enabled_at and wants(event_types, str(name))
            if wanted and endpoint_id not in told:
                about = f"endpoint {endpoint_id} wants {name} and was not told of {event.key}"
                message_id = ids.step_id(event.event_id, f"webhook {endpoint_id}")
                self._findings.absent("webhook_messages", message_id, name, about)

    def _stray(self, row: Row) -> None:
        self._findings.surplus("webhook_messages", row[2], row[4], f"there is no stream {row[0]}")


def _delivered(event: Event) -> Delivered:
    """The event as the notifier met it."""
    assert event.message is not None
    place = (event.event_id, event.stream_id, event.version, event.position)
    return Delivered(*place, event.message, event.recorded_at, {}, None)
