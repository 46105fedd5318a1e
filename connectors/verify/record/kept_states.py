"""Subject: the snapshots. Each is the fold of its stream's events up to the version that it names, and says so under a digest."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import MALFORMED, Context, Event, Subject
from streams.aggregates import AGGREGATES
from streams.event_store.fingerprint import fingerprint
from streams.event_store.frozen import to_plain
from streams.event_store.snapshots import digest_of
from streams.event_store.store import Head

COLUMNS = ("stream_id", "fingerprint", "category", "version", "head_hash", "position", "state", "digest")
SNAPSHOTS = f"SELECT {', '.join(COLUMNS)} FROM snapshots ORDER BY stream_id"
BROKEN = object()
"""The fold of a stream whose events cannot be read: others tell of it."""


class KeptStates(Subject):
    """Folds the streams that have a snapshot, and holds the two against each other. One of other code is held against all but its state."""

    def __init__(self, context: Context) -> None:
        self._findings = context.findings
        self._rows = Aligned(context.write.stream(SNAPSHOTS), lambda row: row[0], self._streamless)
        self._kept: list[dict[str, Any]] = []
        self._state: Any = None
        self._stream: UUID | None = None

    def event(self, event: Event) -> None:
        """Fold, and look where a snapshot was made."""
        if event.stream_id != self._stream:
            self._stream, self._state = event.stream_id, None
            self._kept = [dict(zip(COLUMNS, row, strict=True)) for row in self._rows.take(event.stream_id)]
        if not self._kept:
            return
        self._fold(event)
        for kept in self._kept:
            if kept["version"] == event.version:
                self._compare(kept, event)

    def end(self, stream_id: UUID, category: str) -> None:
        """No snapshot is ahead of its stream."""
        for kept in self._kept:
            if "seen" not in kept:
                self._findings.surplus("snapshots", _key(kept), f"version {kept['version']}", "ahead of its stream")

    def finish(self) -> None:
        """No snapshot without a stream."""
        self._rows.rest()

    def _fold(self, event: Event) -> None:
        try:
            if self._state is not BROKEN and event.message is not None:
                self._state = AGGREGATES[event.category].evolve(self._state, event.message)
            else:
                self._state = BROKEN
        except (*MALFORMED, AssertionError):
            self._state = BROKEN

    def _compare(self, kept: dict[str, Any], event: Event) -> None:
        kept["seen"] = True
        self._findings.checked["snapshots"] += 1
        folded_by, head = bytes(kept["fingerprint"]), Head(event.version, event.hash)
        says = {"category": event.category, "head_hash": event.hash, "position": event.position}
        if folded_by == fingerprint(event.category) and self._state is not BROKEN:
            says["state"] = to_plain(self._state)
        says["digest"] = digest_of(event.stream_id, folded_by, event.category, head, says.get("state", kept["state"]))
        self._findings.compare("snapshots", _key(kept), kept, says, "not the fold of the stream's events")

    def _streamless(self, row: Row) -> None:
        kept = dict(zip(COLUMNS, row, strict=True))
        self._findings.surplus("snapshots", _key(kept), f"version {kept['version']}", "there is no such stream")


def _key(kept: dict[str, Any]) -> str:
    return f"{kept['stream_id']} {bytes(kept['fingerprint']).hex()[:12]}"
