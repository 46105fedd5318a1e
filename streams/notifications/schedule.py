"""When a webhook is tried again: the delays of Standard Webhooks, 75 hours in all, each with a little jitter. Pure."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

DELAYS_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After the first attempt, after the second, ... After the tenth there is none: the message is parked."""
JITTER = 0.2
LONGEST_SECONDS = 86_400
THROTTLING = frozenset({429, 502, 503, 504})
GONE = 410


def delay_seconds(message_id: UUID, attempt: int, retry_after: float | None = None) -> float | None:
    """Seconds to wait after the `attempt`-th try (1, 2, ...), or None when it was the last.

    Up to a fifth more than the schedule says, by the message's own id, so that many that failed together do not come back
    together. What the endpoint asked for counts where it is longer, up to a day.
    """
    if attempt > len(DELAYS_SECONDS):
        return None
    share = UUID(int=message_id.int ^ attempt).int % 1009 / 1009
    return max(DELAYS_SECONDS[attempt - 1] * (1 + JITTER * share), min(retry_after or 0, LONGEST_SECONDS))


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """RFC 9110 10.2.3: seconds, or a date; a day at most. None for a header that says neither, or a moment that has passed."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_SECONDS)
    try:
        seconds = (parsedate_to_datetime(header) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds, LONGEST_SECONDS) if seconds > 0 else None
