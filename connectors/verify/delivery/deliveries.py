"""Subject: deliveries. Every event came to R, once, saying the same, at one place in Kafka; and none that W does not know."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from connectors.verify.delivery.outbox import HEADERS, announcement
from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import Context, Event, Subject
from schemas.definition import to_json

NAMES = (
    "event_id", "stream_id", "version", "type", "position", "payload", "headers", "topic", "partition", "offset", "recorded_at",
)  # fmt: skip
DELIVERIES = f"""SELECT {", ".join(f'"{name}"' for name in NAMES)} FROM deliveries ORDER BY stream_id, version"""
VERSIONS = "SELECT stream_id, version FROM stream_versions ORDER BY stream_id"
TWICE = """
SELECT topic, partition, "offset", array_agg(event_id::text ORDER BY event_id) FROM deliveries WHERE topic IS NOT NULL
GROUP BY topic, partition, "offset" HAVING count(*) > 1 ORDER BY topic, partition, "offset"
"""


class Deliveries(Subject):
    """Holds R's record of what arrived against what W stored."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._rows = Aligned(context.read.stream(DELIVERIES), lambda row: (row[1], row[2]), self._unknown)
        self._versions = Aligned(context.read.stream(VERSIONS), lambda row: row[0], self._unheard)
        self._place: tuple[UUID, int, int] | None = None
        self._last = 0

    def event(self, event: Event) -> None:
        """The event as it arrived."""
        self._findings.checked["deliveries"] += 1
        self._last = event.version
        rows = self._rows.take((event.stream_id, event.version))
        if not rows:
            self._findings.absent("deliveries", event.event_id, event.key, "the event was not delivered")
            return
        row = dict(zip(NAMES, rows[0], strict=True))
        self._findings.compare("deliveries", row["event_id"], row, _expected(event), "not as it was stored")
        self._outvoted(event, row)
        self._placed(event, row)

    def end(self, stream_id: UUID, category: str) -> None:
        """The projector knows the stream to its end."""
        rows = self._versions.take(stream_id)
        if not rows:
            self._findings.absent("stream_versions", stream_id, self._last, "the projector has not met this stream")
        else:
            self._findings.expect("stream_versions", stream_id, rows[0][1], self._last, "column version")

    def finish(self) -> None:
        """Nothing is left over, and no place in Kafka was given twice."""
        self._rows.rest()
        self._versions.rest()
        for topic, partition, offset, events in self._context.read.rows(TWICE):
            self._findings.differ(
                "deliveries", ", ".join(events), f"{topic}/{partition}/{offset}", "one event a place", "column offset"
            )

    def _placed(self, event: Event, row: dict[str, Any]) -> None:
        """Its topic, its stream's partition, behind its predecessor; and headers as they left the outbox."""
        key = row["event_id"]
        if row["topic"] is None:
            about = "was taken from the event store to fill a gap; its record has not come"
            self._findings.differ("deliveries", key, "no place in Kafka", f"{event.category}s.events", about)
            return
        self._findings.expect("deliveries", key, row["topic"], f"{event.category}s.events", "column topic")
        if self._place is not None and self._place[0] == event.stream_id:
            _, partition, offset = self._place
            self._findings.expect("deliveries", key, row["partition"], partition, "column partition: a stream has one")
            if row["offset"] <= offset:
                about = "column offset: before the stream's earlier event"
                self._findings.differ("deliveries", key, row["offset"], f"above {offset}", about)
        self._place = (event.stream_id, row["partition"], row["offset"])
        self._headers(event, row)

    def _outvoted(self, event: Event, row: dict[str, Any]) -> None:
        """Where outbox and delivery agree against the event, it is the event that was changed."""
        if event.outbox is None:
            return
        delivered = {"position": str(row["position"]), "ce_time": row["recorded_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        stored = {"position": str(event.position), "ce_time": event.recorded_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        for name, column in (("position", "position"), ("ce_time", "recorded_at")):
            if event.outbox[name] == delivered[name] != stored[name]:
                about = f"column {column}: outbox and delivery both say otherwise"
                self._findings.differ("events", event.key, stored[name], delivered[name], about)

    def _headers(self, event: Event, row: dict[str, Any]) -> None:
        headers, sent = row["headers"], event.outbox or announcement(event)
        if not isinstance(headers, dict):
            self._findings.differ("deliveries", row["event_id"], headers, "an object", "column headers")
            return
        for name in HEADERS:
            if sent.get(name) is not None and str(sent[name]) != headers.get(name):
                found, about = headers.get(name), f"column headers, {name}: the outbox says otherwise"
                self._findings.differ("deliveries", row["event_id"], found, sent[name], about)

    def _unknown(self, row: Row) -> None:
        self._findings.surplus("deliveries", row[0], f"{row[1]} version {row[2]}, {row[3]}", "W knows no such event")

    def _unheard(self, row: Row) -> None:
        self._findings.surplus("stream_versions", row[0], row[1], "W knows no such stream")


def _expected(event: Event) -> dict[str, Any]:
    told = {
        "event_id": event.event_id,
        "type": event.type,
        "position": event.position,
        "recorded_at": event.recorded_at,
    }
    return told if event.message is None else {**told, "payload": to_json(event.message)}
