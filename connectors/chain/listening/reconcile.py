"""What changes without a log, or is easier asked than followed: read by eth_call at a pinned block, told as facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from connectors.chain.accounts.directory import Wallet
from connectors.chain.accounts.integrity import verdict
from connectors.chain.accounts.reading import AccountContracts, AccountReader, AccountReading
from connectors.chain.listening.sightings import Sighting
from connectors.chain.node.abi import call_data
from connectors.chain.node.multicall import aggregate, decoded
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.errors import Retry
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.chain.facts import Block


@dataclass(frozen=True)
class Reconciler:
    """Reads accounts at one block and tells what is so."""

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    reader: AccountReader

    def integrity(self, asked: Sequence[tuple[Wallet | None, Block]]) -> list[Any]:
        """Each account's integrity at the block that changed it. The queue has events of its own."""
        at: dict[Block, list[Wallet]] = {}
        for wallet, block in asked:
            if wallet is not None:
                at.setdefault(block, []).append(wallet)
        return [
            facts.ObserveIntegrity(wallet.account_id, verdict(reading, self.chain), block)
            for block, wallets in at.items()
            for wallet, reading in zip(wallets, self._read(wallets, block.hash), strict=True)
        ]

    def integrity_at(self, asked: Sequence[Wallet | None], final: int) -> list[Any]:
        """The integrity of several accounts at one final block."""
        wallets = [each for each in asked if each is not None]
        block = self._block(final) if wallets else None
        return self.integrity([(each, block) for each in wallets]) if block is not None else []

    def at(self, wallets: Sequence[Wallet], final: int) -> tuple[Block, list[AccountReading]]:
        """What the contracts of several accounts say at one final block."""
        block = self._block(final)
        return block, self._read(wallets, block.hash)

    def emptied(self, asked: Sequence[Wallet | None], final: int) -> list[Any]:
        """Which of the Delay queues are empty at a final block: execution and expiry leave no log there."""
        wallets = [each for each in asked if each is not None]
        if not wallets:
            return []
        block = self._block(final)
        return [
            facts.EmptyDelayQueue(wallet.account_id, reading.queue_nonce or 0, block)
            for wallet, reading in zip(wallets, self._read(wallets, block.hash), strict=True)
            if reading.queue_empty
        ]

    def taken_back(
        self, said: Sequence[Sighting], signed: Mapping[UUID, tuple[str, str, str]], final: int
    ) -> list[Any]:
        """Which of the signed spends the contract itself counts as consumed at a final block: the log alone, anybody may make it say.

        That it was invalidated and not carried out follows from the books: what was carried out up to that block is booked.
        """
        told = [each for each in said if UUID(each.detail["leg_id"]) in signed]
        if not told:
            return []
        header = self.rpc.block(final)
        if header is None:
            raise Retry(f"{self.rpc.node} no longer has block {final}")
        calls = []
        for each in told:
            spender, signer, consumed = signed[UUID(each.detail["leg_id"])]
            calls.append((spender, call_data("consumed(address,bytes32)", signer, consumed)))
        answered = aggregate(self.rpc, self.chain.multicall_address, calls, header.hash)
        return [
            self._invalidation(each)
            for each, answer in zip(told, answered, strict=True)
            if decoded(("bool",), answer) == (True,)
        ]

    def _invalidation(self, said: Sighting) -> facts.FinalizeInvalidation:
        payment_id, leg_id = UUID(said.detail["payment_id"]), UUID(said.detail["leg_id"])
        transfer_id = ids.leg_transfer_id(self.chain.chain_id, leg_id)
        return facts.FinalizeInvalidation(payment_id, said.account_id, leg_id, transfer_id, said.tx_hash, said.block)

    def after_reorg(self, asked: Sequence[Wallet | None], ancestor: Block) -> list[Any]:
        """Allowance and integrity as they are at the common ancestor."""
        wallets = [each for each in asked if each is not None]
        told: list[Any] = []
        for wallet, reading in zip(wallets, self._read(wallets, ancestor.hash), strict=True):
            if reading.allowance is not None:
                told.append(facts.ObserveAllowance(wallet.account_id, "reorg", reading.allowance, ancestor))
            told.append(facts.ObserveIntegrity(wallet.account_id, verdict(reading, self.chain), ancestor))
        return told

    def _block(self, number: int) -> Block:
        header = self.rpc.block(number)
        if header is None:
            raise Retry(f"{self.rpc.node} no longer has block {number}")
        return Block(header.number, header.hash, header.time)

    def _read(self, wallets: Sequence[Wallet], at: str) -> list[AccountReading]:
        contracts = [AccountContracts.of(w.wallet, w.token, w.roles_module, w.delay_module) for w in wallets]
        return self.reader.read(contracts, at) if contracts else []
