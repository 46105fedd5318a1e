"""Moments as people and callers give them: in UTC, and such as every clock of ours can show, whatever its zone."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""A day from both ends of what `datetime` holds: no zone is further from UTC."""


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError, which says what to send, for one without a zone or beyond `EARLIEST` and `LATEST`."""
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-03-01T00:00:00Z; send it with one")
    if not EARLIEST <= moment <= LATEST:
        raise ValueError(f"a time lies between {EARLIEST.date()} and {LATEST.date()}; send one that does")
    return moment.astimezone(UTC)


def moment_of(text: str) -> datetime:
    """A day or a time (ISO 8601) as a person writes it, in UTC where it says no zone. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return in_utc(found if found.tzinfo else found.replace(tzinfo=UTC))
