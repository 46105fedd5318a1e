"""What was written down when a broken log was closed, and which log began then: its id is the record's own hash, so anchors state the record too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.audit import check
from infra.audit.check import canonical
from infra.database import Cursor
from streams.audit_log.log import LogBroken

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
    """All of them, the earliest first: each closed the log that began with the one before, whatever the clock said. Raises LogBroken."""
    cursor.execute(CLOSINGS)
    return in_turn(bytes(record) for (record,) in cursor.fetchall())


def in_turn(records: Iterable[bytes]) -> list[Closing]:
    """The closings that these are the records of. What leads nowhere (a record was taken away) comes by its time. Raises LogBroken."""
    try:
        found = [Closing.parse(record) for record in records]
    except check.Refused as error:
        raise LogBroken(f"the record of a log that was closed was changed: {error}; run `payriver verify`") from None
    left = {each.log_id: each for each in sorted(found, key=lambda each: str(each.told["closed_at"]))}
    begun, ordered = {each.next_id for each in left.values()}, list[Closing]()
    for first in [log_id for log_id in left if log_id not in begun]:
        log_id = first
        while (closed := left.pop(log_id, None)) is not None:
            ordered.append(closed)
            log_id = closed.next_id
    return [*ordered, *left.values()]


def leads_to(cursor: Cursor, log_id: str, next_id: str) -> bool:
    """Whether the one log was closed, and the other began then."""
    cursor.execute(LEADS, (log_id, next_id))
    return bool(cursor.fetchall()[0][0])
