"""What changes without a log, or is easier asked than followed: read by eth_call at a pinned block, told as facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.chain.directory import Wallet
from connectors.chain.integrity import integrity
from connectors.chain.reading import AccountContracts, AccountReader, AccountReading
from connectors.chain.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.errors import Retry
from streams.domain import facts
from streams.domain.facts import Block

QUEUE = "DelayQueueNotEmpty"


@dataclass(frozen=True)
class Reconciler:
    """Reads accounts at one block and tells what is so."""

    rpc: Rpc
    chain: ChainSettings
    reader: AccountReader

    def integrity(self, asked: Sequence[tuple[Wallet | None, Block]]) -> list[Any]:
        """Each account's integrity at the block that changed it. The queue has events of its own."""
        return [
            facts.ObserveIntegrity(wallet.account_id, verdict(reading, self.chain), block)
            for wallet, block in asked
            if wallet is not None
            for reading in self._read([wallet], block.hash)
        ]

    def emptied(self, asked: Sequence[Wallet | None], final: int) -> list[Any]:
        """Which of the Delay queues are empty at a final block: execution and expiry leave no log there."""
        wallets = [each for each in asked if each is not None]
        if not wallets:
            return []
        header = self.rpc.block(final)
        if header is None:
            raise Retry(f"{self.rpc.node} no longer has block {final}")
        block = Block(header.number, header.hash, header.time)
        return [
            facts.EmptyDelayQueue(wallet.account_id, reading.queue_nonce or 0, block)
            for wallet, reading in zip(wallets, self._read(wallets, header.hash), strict=True)
            if reading.queue_empty
        ]

    def after_reorg(self, asked: Sequence[Wallet | None], ancestor: Block) -> list[Any]:
        """Allowance and integrity as they are at the common ancestor."""
        wallets = [each for each in asked if each is not None]
        told: list[Any] = []
        for wallet, reading in zip(wallets, self._read(wallets, ancestor.hash), strict=True):
            if reading.allowance is not None:
                told.append(facts.ObserveAllowance(wallet.account_id, "reorg", reading.allowance, ancestor))
            told.append(facts.ObserveIntegrity(wallet.account_id, verdict(reading, self.chain), ancestor))
        return told

    def _read(self, wallets: Sequence[Wallet], at: str) -> list[AccountReading]:
        contracts = [
            AccountContracts(each.wallet, each.roles_module or "", each.delay_module or "", each.token)
            for each in wallets
        ]
        return self.reader.read(contracts, at) if contracts else []


def verdict(reading: AccountReading, chain: ChainSettings) -> str:
    """The account's integrity, the Delay queue apart."""
    found = integrity(reading, chain.cooldown_seconds)
    return "Ok" if found == QUEUE else found
