"""A reorganisation: what was seen above the common ancestor is taken back, by events of its own. Below finality there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine

from connectors.chain.accounts.directory import Directory
from connectors.chain.listening import cursor as rows
from connectors.chain.listening.booking import READING, Booking
from connectors.chain.listening.cursor import Position
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.listening.sightings import Sighting, sightings_above
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.database import transaction
from infra.errors import FinalityBroken, Retry
from infra.failpoints import failpoint
from streams.domain.chain.facts import Block

log = structlog.get_logger(__name__)
REORG_WINDOW = 1000


@dataclass(frozen=True)
class Reorgs:
    """Takes reorganisations of one chain."""

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    booking: Booking
    reconciler: Reconciler

    def rewind(self, position: Position, directory: Directory) -> bool:
        """The block we stand on is gone: take back what was seen above the common ancestor. Nothing is rewritten."""
        ancestor = self._ancestor(position)
        with transaction(self.database) as cursor:
            dropped = sightings_above(cursor, self.chain.chain_id, ancestor.number)
        again = self._read_again(dropped, ancestor, directory)
        new = replace(position, number=ancestor.number, hash=ancestor.hash, time=ancestor.time)
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return False
            failpoint("listener.after_rewind")
            visit = rows.visits(cursor, self.chain.chain_id, [position.hash]).get(position.hash, 1)
            rows.orphan_blocks(cursor, self.chain.chain_id, ancestor.number)
            self.booking.unseen(cursor, dropped, again, reorg=f"{position.hash}/{visit}")
            failpoint("listener.before_rewind_commit")
        log.warning(
            "chain_reorganised",
            depth=position.number - ancestor.number,
            dropped=len(dropped),
            block_number=ancestor.number,
        )
        return True

    def _ancestor(self, position: Position) -> Block:
        """The newest of our blocks that still stands. Raises FinalityBroken when a final one does not, Retry where the node has none there."""
        with transaction(self.database) as cursor:
            ours = rows.seen_blocks(cursor, self.chain.chain_id, position.number, REORG_WINDOW)
            last = rows.final_block(cursor, self.chain.chain_id, position.final)
        known, standing = [*ours, *([last] if last else [])], None
        for number, digest, time in known:
            standing = self.rpc.block(number)
            if standing is not None and standing.hash == digest:
                return Block(number, digest, time)
        if known and standing is None:
            raise Retry(f"{self.rpc.node} has no block {position.final}, which was final: it lags, or was set up anew")
        raise FinalityBroken(
            f"block {position.final} was final as {last[1] if last else 'unknown'} and is another one now: {self.rpc.node} lies, or "
            "finality in the chain file is set too low; nothing more is read until a person decides (infra/decisions)"
        )

    def _read_again(self, dropped: Sequence[Sighting], ancestor: Block, directory: Directory) -> list[Any]:
        accounts: list[UUID] = sorted({each.account_id for each in dropped if each.kind == READING})
        return self.reconciler.after_reorg([directory.of_account(each) for each in accounts], ancestor)
