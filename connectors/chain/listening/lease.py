"""Which of several listeners of a chain works: courtesy alone, for what protects is the fence on the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

import structlog
from sqlalchemy import Engine

from connectors.chain.listening import cursor as rows
from infra.database import transaction

log = structlog.get_logger(__name__)
LEASE_SECONDS = 3.0


@dataclass
class Lease:
    """One listener's claim to work. Asked for at each step, renewed in the database only when it runs short."""

    database: Engine
    chain_id: int
    name: str
    pause_seconds: float
    holding: bool = False
    until: float = 0.0

    def held(self) -> bool:
        """Whether this listener works now."""
        if monotonic() < self.until - LEASE_SECONDS * 2 / 3:
            return self.holding
        with transaction(self.database) as cursor:
            held = rows.take_lease(cursor, self.chain_id, self.name, LEASE_SECONDS)
            held = held or rows.position(cursor, self.chain_id) is None
        if held and not self.holding:
            log.info("listener_works", listener=self.name)
        self.holding = held
        self.until = monotonic() + (LEASE_SECONDS if held else LEASE_SECONDS * 2 / 3 + self.pause_seconds)
        return held
