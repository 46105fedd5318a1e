"""Blocks, receipts and fees as values, made once from a node's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.chain.node.logs import Log
from infra.errors import Undecodable

At = int | str
"""Where on the chain: a block number, a tag (latest, safe, finalized, pending) or a block hash."""


def block_parameter(at: At) -> Any:
    """`at` as calls take it; a hash by EIP-1898, refused by the node when the block is not on its chain."""
    if isinstance(at, int):
        return hex(at)
    return {"blockHash": at, "requireCanonical": True} if len(at) == 66 else at


@dataclass(frozen=True, slots=True)
class Header:
    """What we keep of a block. `time` is its own, Unix seconds."""

    number: int
    hash: str
    parent_hash: str
    time: int
    logs_bloom: str
    base_fee_wei: int | None

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Header:
        """Raises `Undecodable` for what is no mined block."""
        try:
            return cls(
                number=int(record["number"], 16),
                hash=record["hash"].lower(),
                parent_hash=record["parentHash"].lower(),
                time=int(record["timestamp"], 16),
                logs_bloom=record["logsBloom"].lower(),
                base_fee_wei=int(record["baseFeePerGas"], 16) if record.get("baseFeePerGas") else None,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Undecodable(f"no mined block: {error!r} in {str(record)[:300]}") from None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction. A reverted one has no logs, and is seen in no other way."""

    transaction_hash: str
    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    logs: tuple[Log, ...]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Receipt:
        """Raises `Undecodable` for what is no receipt."""
        try:
            return cls(
                transaction_hash=record["transactionHash"].lower(),
                succeeded=int(record["status"], 16) == 1,
                block_number=int(record["blockNumber"], 16),
                block_hash=record["blockHash"].lower(),
                gas_used=int(record["gasUsed"], 16),
                logs=tuple(Log.from_json(log) for log in record["logs"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Undecodable(f"no receipt: {error!r} in {str(record)[:300]}") from None


@dataclass(frozen=True)
class Fees:
    """EIP-1559: what the latest block asked per gas, and the tip that a node suggests. Wei."""

    base_wei: int
    tip_wei: int

    def cap_wei(self) -> int:
        """A price that stays good for six full blocks: twice the base fee and the tip."""
        return 2 * self.base_wei + self.tip_wei
