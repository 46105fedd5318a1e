"""What stands on the development chain, as values that can be written to a file and read back by a later run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

CHAIN_ID = 100
SPENDING_ROLE = "0x349476e3982666749979c85ce800cd2947a4b8dc9fe20a01a00a1b526072a8a3"
SPENDING_ALLOWANCE = "0xfe687fc128d1915040376d20ccb1bf40d838ddd82bf9b0ba3da683cc2a251623"


@dataclass(frozen=True)
class Mastercopies:
    """A generation of the modifiers: the addresses (checksummed) that an account's proxies point to."""

    roles: str
    delay: str


NEWER = Mastercopies("0x732B9E9f259fbA6f65A1a012DC89c20872ffBd2f", "0x22d903fd45F441F51bcad198D14eBa8a75EA1ef0")
"""What account-kit 5 makes accounts from. The one here is of the generation before, and makes accounts from either when it is told."""


@dataclass(frozen=True)
class Deployment:
    """Addresses (checksummed) and keys (0x and 64 hex digits) of everything that the set-up made.

    The keys are those of anvil's well-known development mnemonic, worth nothing on any other chain.
    `token` is where movements are counted; `twin` is the front that logs a second Transfer, if there is one.
    """

    chain_id: int
    token: str
    twin: str | None
    symbol: str
    decimals: int
    settlement: str
    spender_safe: str
    spender_module: str
    roles_mastercopy: str
    delay_mastercopy: str
    multicall: str
    delegate: str
    relayer: str
    anchor: str
    deployer_key: str = field(repr=False)
    settlement_key: str = field(repr=False)
    delegate_key: str = field(repr=False)
    relayer_key: str = field(repr=False)
    outsider_key: str = field(repr=False)
    anchor_key: str = field(repr=False)

    @property
    def asset(self) -> str:
        """The token address that accounts may spend: the front where there is one."""
        return self.twin or self.token

    def save(self, path: Path) -> None:
        """Writes the deployment, keys and all, readable by its owner only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Deployment:
        return cls(**json.loads(path.read_text()))

    def chain_file(
        self, rpc_urls: list[str], *, start_block: int = 0, finality: dict[str, Any], discovery: bool = False
    ) -> dict[str, Any]:
        """The chain file (`payriver up --chain FILE`) of this chain. `finality`: {"tag": "finalized"} or {"depth": 5}.

        Without `discovery` only those accounts come under watch that somebody registers: so plays the demo.
        """
        token = {"address": self.token, "symbol": self.symbol, "currency": "EUR", "decimals": self.decimals}
        return {
            "rpc_urls": rpc_urls,
            "chain_id": self.chain_id,
            "start_block": start_block,
            "tokens": [token | ({"twin": self.twin} if self.twin else {})],
            "settlement_address": self.settlement,
            "spender_module": self.spender_module,
            "spender_generation": "module-tx-salt",
            "finality": finality,
            "discovery": {"enabled": discovery},
            "anchors": {"sender": self.anchor},
        }


@dataclass(frozen=True)
class AccountInfo:
    """A customer's account: its owner, its Safe and the three contracts that guard it (checksummed addresses)."""

    owner: str
    safe: str
    roles: str
    delay: str
    bouncer: str
    owner_key: str = field(repr=False)

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, str]) -> AccountInfo:
        return cls(**{f.name: record[f.name] for f in fields(cls)})


@dataclass(frozen=True)
class Sent:
    """A transaction that was handed to the node: its hash (0x…) and its signed bytes, so that it can be sent again."""

    hash: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class Withdrawal:
    """A transaction in an account's Delay queue: what `executeNextTx` must be told again, word for word."""

    delay: str
    to: str
    data: bytes = field(repr=False)
    sent: Sent


@dataclass(frozen=True)
class Reorg:
    """A reorg that was made: the blocks [first, head] were replaced by empty ones, `dropped` were their transactions."""

    first: int
    head: int
    dropped: tuple[Sent, ...]
