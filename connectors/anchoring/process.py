"""The process behind `payriver audit run`: fills the log, anchors it at the stated cadence, carries anchors to finality."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event

import structlog

from connectors.anchoring.anchorer import Anchorer
from connectors.chain.node.errors import RpcRefused
from infra.errors import Stop
from infra.transient import is_transient
from streams.audit_log.filler import Filler

log = structlog.get_logger(__name__)
PAUSE_SECONDS = 1.0
LOOK_SECONDS = 5.0  # so often the chain is asked what became of an open anchor, and the clock whether another is due
STAND_SECONDS = 60.0  # so long it stands still before a log that somebody else wrote, then looks again


@dataclass
class AuditProcess:
    """One filler and, where there is a chain to anchor on, one anchorer."""

    filler: Filler
    anchorer: Anchorer | None
    seconds: int
    events: int
    _look_again: float = 0.0

    def __call__(self, stop: Event) -> None:
        """Run until `stop` is set."""
        if self.anchorer is None:
            log.warning("not_anchored", why="the chain file names no anchors; the log is filled and stated nowhere")
        while not stop.is_set():
            pause = PAUSE_SECONDS
            try:
                pause = 0.0 if self.step() else PAUSE_SECONDS
            except Stop as error:
                log.error("audit_log_stands", reason=error.reason, error=str(error))
                pause = STAND_SECONDS
            except Exception as error:
                if not (is_transient(error) or isinstance(error, RpcRefused)):
                    raise
                log.warning("audit_log_waits", error=str(error))
            stop.wait(pause)

    def step(self) -> bool:
        """Once through. True if the log has taken anything."""
        filled = self.filler.step()
        if self.anchorer is not None and time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + LOOK_SECONDS
            if not self.anchorer.carry() and self.anchorer.due(self.seconds, self.events):
                self._anchor(self.anchorer)
        return filled

    def _anchor(self, anchorer: Anchorer) -> None:
        made = anchorer.begin()
        if made is not None:
            log.info("anchored", size=made.head.size, root=made.head.root.hex(), tx_hash=made.tx_hash)
            anchorer.carry()
