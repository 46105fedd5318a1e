"""How the write side sees the chain: the newest block and since when, kept for a second, so that balances need not ask each time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import sqlalchemy.exc
from sqlalchemy import Engine, text

KEPT_SECONDS = 1.0
LOOK = text("""
SELECT seen_number, seen_time, extract(epoch FROM clock_timestamp() - least(moved_at, to_timestamp(seen_time))) AS age_seconds
FROM chain_cursors ORDER BY seen_time DESC LIMIT 1
""")


@dataclass(frozen=True)
class Seen:
    """The newest block seen: its height, its time (Unix seconds), and how old the view is: as a decision takes it."""

    block_number: int
    block_time: int
    age_seconds: float


class ChainView:
    """The newest block by W's cursor. While W is away, the last known one grows older: a display never fails or waits for it."""

    def __init__(self, write: Engine) -> None:
        self._write = write.execution_options(isolation_level="AUTOCOMMIT")
        self._looking = threading.Lock()
        self._known: tuple[float, Seen | None] = (float("-inf"), None)

    def seen(self) -> Seen | None:
        """None before the listener's first block. One caller looks; whoever comes meanwhile takes what is known."""
        now = time.monotonic()
        if now - self._known[0] > KEPT_SECONDS and self._looking.acquire(blocking=False):
            try:
                self._known = (now, self._look(now))
            finally:
                self._looking.release()
        at, seen = self._known
        return replace(seen, age_seconds=seen.age_seconds + max(0.0, time.monotonic() - at)) if seen else None

    def _look(self, now: float) -> Seen | None:
        try:
            with self._write.connect() as connection:
                row = connection.execute(LOOK).one_or_none()
        except sqlalchemy.exc.SQLAlchemyError:
            at, seen = self._known
            return replace(seen, age_seconds=seen.age_seconds + now - at) if seen else None
        return Seen(row.seen_number, row.seen_time, float(row.age_seconds)) if row else None
