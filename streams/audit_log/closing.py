"""What was written down when a broken log was closed, and which log began then: its id is the record's own hash, so anchors state the record too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.audit import check
from infra.audit.check import canonical
from infra.database import Cursor

CLOSINGS = "SELECT record FROM audit_closings"
LEADS = "SELECT EXISTS (SELECT FROM audit_closings WHERE log_id = %s::uuid AND next_id = %s::uuid)"


@dataclass(frozen=True)
class Closing:
    """The record, byte by byte, and what it says (infra/audit/README.md). Ids are 32 hex digits."""

    record: bytes
    told: Mapping[str, Any]

    @classmethod
    def made(cls, **told: Any) -> Closing:
        """Of what is told: every field of the record but `format`."""
        return cls.parse(canonical({"format": check.CLOSING, **told}) + b"\n")

    @classmethod
    def parse(cls, record: bytes) -> Closing:
        """Raises Refused for what is no record of a closing."""
        return cls(record, check.read_closing(record))

    @property
    def log_id(self) -> str:
        """The log that was closed."""
        return str(self.told["log_id"])

    @property
    def next_id(self) -> str:
        """The log that began."""
        return check.next_log(self.record)


def closings(cursor: Cursor) -> list[Closing]:
    """All of them, the earliest first."""
    cursor.execute(CLOSINGS)
    found = [Closing.parse(bytes(record)) for (record,) in cursor.fetchall()]
    return sorted(found, key=lambda each: str(each.told["closed_at"]))


def leads_to(cursor: Cursor, log_id: str, next_id: str) -> bool:
    """Whether the one log was closed, and the other began then."""
    cursor.execute(LEADS, (log_id, next_id))
    return bool(cursor.fetchall()[0][0])
