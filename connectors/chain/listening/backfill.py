"""Blocks before the listener's first: the accounts that were made in them come under watch, and the listener fills in their history.

How far it has come is one row, moved when a stretch is read; killed anywhere, it goes on there. Finding an account twice is no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from connectors.chain.accounts.discovery import Discovery
from connectors.chain.listening.stretches import Stretches
from connectors.chain.settings import ChainSettings
from infra.database import transaction

FIRST = "SELECT min(number) FROM chain_blocks WHERE chain_id = %s"
READ = "SELECT from_block, read_block, until_block FROM chain_backfills WHERE chain_id = %s"
BEGIN = """
INSERT INTO chain_backfills (chain_id, from_block, read_block, until_block) VALUES (%s, %s, %s, %s)
ON CONFLICT (chain_id) DO UPDATE SET from_block = excluded.from_block, read_block = excluded.read_block,
    until_block = greatest(chain_backfills.until_block, excluded.until_block)
WHERE chain_backfills.from_block > excluded.from_block
"""
MOVE = "UPDATE chain_backfills SET read_block = %s WHERE chain_id = %s AND read_block = %s"
FILLING = """
SELECT count(*), min(greatest(opening_block, filled_block)) FROM chain_wallets WHERE chain_id = %s AND state = 'new'
"""


@dataclass(frozen=True)
class Stand:
    """How far the blocks of a backfill have been read."""

    first: int
    read: int
    last: int

    @property
    def done(self) -> bool:
        """Whether all of them have."""
        return self.read >= self.last


@dataclass
class Backfill:
    """Reads the blocks before the listener's first."""

    database: Engine
    chain: ChainSettings
    discovery: Discovery
    stretches: Stretches

    def begin(self, first: int) -> Stand | None:
        """Ask for the blocks from `first` on; goes on with what was asked for before. None where the listener has read them itself."""
        with transaction(self.database) as cursor:
            cursor.execute(FIRST, (self.chain.chain_id,))
            ((begun,),) = cursor.fetchall()
            if begun is not None and first < begun:
                cursor.execute(BEGIN, (self.chain.chain_id, first, first - 1, begun))
        return self.stand()

    def stand(self) -> Stand | None:
        """How far it has come; None where nothing was asked for."""
        with transaction(self.database) as cursor:
            cursor.execute(READ, (self.chain.chain_id,))
            row = cursor.fetchone()
        return Stand(*row) if row else None

    def filling(self) -> tuple[int, int]:
        """(wallets whose history is not filled in yet, the block up to which the least of them is)."""
        with transaction(self.database) as cursor:
            cursor.execute(FILLING, (self.chain.chain_id,))
            ((count, block),) = cursor.fetchall()
        return count, block or 0

    def step(self, final: int) -> bool:
        """Read one stretch and take the accounts made in it under watch. False when there is none left."""
        stand = self.stand()
        if stand is None or stand.done:
            return False
        stretch = self.stretches.after(stand.read, stand.last)
        self.discovery.found_in(stretch.logs, final)
        with transaction(self.database) as cursor:
            cursor.execute(MOVE, (stretch.last.number, self.chain.chain_id, stand.read))
        return True
