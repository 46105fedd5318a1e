"""Finality: what was seen in a block is final when the block is, and moves money then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Engine

from connectors.chain.accounts import wallets
from connectors.chain.accounts.directory import Directory
from connectors.chain.listening import cursor as rows
from connectors.chain.listening import vanished
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.cursor import Position
from connectors.chain.listening.legs import signed_spends
from connectors.chain.listening.quorum import Quorum
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.listening.sightings import TAKEN_BACK, sightings_up_to
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.database import transaction
from infra.failpoints import failpoint


@dataclass(frozen=True)
class Finality:
    """Takes what has become final on one chain."""

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    booking: Booking
    reconciler: Reconciler
    quorum: Quorum

    def reach(self, final: int, position: Position, directory: Directory) -> bool:
        """Everything seen in blocks up to `final`, which we have read. True if anything was written; not while the nodes disagree."""
        with transaction(self.database) as cursor:
            sightings = sightings_up_to(cursor, self.chain.chain_id, final)
            waiting = wallets.queues(cursor, self.chain.chain_id, final)
            gone = vanished.waiting(cursor, self.chain.chain_id)
            said = [each for each in sightings if each.kind == TAKEN_BACK]
            signed = signed_spends(cursor, [UUID(each.detail["leg_id"]) for each in said])
        if not sightings and final <= position.final:
            return False
        moved = (each.transfer() for each in sightings if each.kind == "transfer")
        if not (self._stands(final) and self.quorum.attests(moved, directory)):
            return False
        asked = self.reconciler.emptied([directory.of_account(each) for each in waiting], final)
        asked += self.reconciler.taken_back(said, signed, final)
        asked += vanished.used_up(self.rpc, gone, final, self.chain.quorum.nodes)
        new = replace(position, final=max(final, position.final))
        with transaction(self.database) as cursor:
            if not rows.move(cursor, self.chain.chain_id, position, new):
                return False
            rows.finalize_blocks(cursor, self.chain.chain_id, final)
            self.booking.final(cursor, sightings, asked)
            failpoint("listener.before_final_commit")
        return True

    def _stands(self, number: int) -> bool:
        """Whether our block at a height that is final now is what the nodes agree on."""
        with transaction(self.database) as cursor:
            ours = rows.standing_block(cursor, self.chain.chain_id, number)
        return ours is None or self.quorum.stands(number, ours)
