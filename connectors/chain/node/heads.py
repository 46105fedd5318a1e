"""New heads, as the nodes tell of them over WebSockets: what wakes the listener without asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Any

from connectors.chain.node.pool import Pool
from connectors.chain.node.transport import WebSocket

AGAIN_SECONDS = 2.0


@dataclass
class Heads:
    """Waits for news. Subscribes when it is first asked, and again when every connection was lost."""

    pool: Pool
    _news: Event = field(default_factory=Event)
    _tried: float = 0.0

    def told(self) -> bool:
        """Whether a node tells us of new heads now; if none does, whoever follows must ask."""
        sockets = [each.transport for each in self.pool.endpoints if isinstance(each.transport, WebSocket)]
        if not sockets:
            return False
        if not any(each.connected for each in sockets) or not self._tried:
            if monotonic() - self._tried < AGAIN_SECONDS and self._tried:
                return False
            self._tried = monotonic()
            return self.pool.heads(self._take)
        return True

    def wait(self, seconds: float) -> bool:
        """Until a node tells of a head, or so long. A head that came since the last wait counts."""
        heard = self._news.wait(seconds)
        self._news.clear()
        return heard

    def _take(self, head: dict[str, Any]) -> None:
        self._news.set()
