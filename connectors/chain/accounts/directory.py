"""Whose is it: the wallets and modules under watch, by address. 100,000 of them cost a dictionary look-up, no more a block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class Wallet:
    """An account's addresses, lower-case. Facts count from the block after `opening_block`."""

    account_id: UUID
    kind: str
    wallet: str
    token: str
    roles_module: str | None
    delay_module: str | None
    opening_block: int


@dataclass
class Directory:
    """All watched wallets of a chain, by wallet and token, and by each address that may speak for them: a Safe has an account a token."""

    by_wallet: dict[tuple[str, str], Wallet] = field(default_factory=dict)
    by_emitter: dict[str, tuple[Wallet, ...]] = field(default_factory=dict)
    by_account: dict[UUID, Wallet] = field(default_factory=dict)

    @classmethod
    def of(cls, wallets: Iterable[Wallet]) -> Directory:
        """A directory of these wallets."""
        made = cls()
        for wallet in wallets:
            made.add(wallet)
        return made

    def add(self, wallet: Wallet) -> None:
        """Watch one more."""
        self.by_wallet[wallet.token, wallet.wallet] = wallet
        self.by_account[wallet.account_id] = wallet
        alone = (wallet,)
        for address in (wallet.wallet, wallet.roles_module, wallet.delay_module):
            if address is not None:
                others = [each for each in self.by_emitter.get(address, ()) if each.account_id != wallet.account_id]
                self.by_emitter[address] = (*others, wallet) if others else alone

    def of_account(self, account_id: UUID) -> Wallet | None:
        """The wallet of an account."""
        return self.by_account.get(account_id)
