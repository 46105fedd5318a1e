"""A log as the node tells it, made a value once, at the door."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import Undecodable

_HEX = re.compile(r"0x(?:[0-9a-f]{2})*\Z")
_WHOLE = re.compile(r"0x[0-9a-f]{40}(?: 0x[0-9a-f]{64}){2,6} 0x(?:[0-9a-f]{2})*\Z")


@dataclass(frozen=True)
class LogFilter:
    """Which logs are wanted: of any of these addresses (none: of all), with one of these texts at each topic's place (None: any)."""

    addresses: tuple[str, ...] = ()
    topics: tuple[tuple[str, ...] | None, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As `eth_getLogs` takes it."""
        topics = [None if each is None else list(each) for each in self.topics]
        return ({"address": list(self.addresses)} if self.addresses else {}) | ({"topics": topics} if topics else {})

    def wants(self, log: Log) -> bool:
        """Whether the node would give this log for it."""
        if self.addresses and log.address not in {each.lower() for each in self.addresses}:
            return False
        return len(log.topics) >= len(self.topics) and all(
            wanted is None or topic in wanted for topic, wanted in zip(log.topics, self.topics, strict=False)
        )


@dataclass(frozen=True, slots=True)
class Log:
    """One log of one block. All text is lower-case hex with 0x. Its place in a block may change by a reorg, its content not.

    `block_time`: Unix seconds, where the node tells it beside the log.
    """

    address: str
    topics: tuple[str, ...]
    data: str
    block_number: int
    block_hash: str
    transaction_hash: str
    transaction_index: int
    index: int
    removed: bool = False
    block_time: int | None = None

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Log:
        """From `eth_getLogs` or a receipt. Raises `Undecodable` for what is no log of a mined block."""
        try:
            log = cls(
                address=record["address"].lower(),
                topics=tuple([topic.lower() for topic in record["topics"]]),
                data=record["data"].lower(),
                block_number=int(record["blockNumber"], 16),
                block_hash=record["blockHash"].lower(),
                transaction_hash=record["transactionHash"].lower(),
                transaction_index=int(record["transactionIndex"], 16),
                index=int(record["logIndex"], 16),
                removed=bool(record.get("removed", False)),
                block_time=int(record["blockTimestamp"], 16) if record.get("blockTimestamp") else None,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Undecodable(f"no log of a mined block: {error!r} in {str(record)[:300]}") from None
        _check(log)
        return log


def _check(log: Log) -> None:
    """At one glance, for there are millions; what is wrong with one that is not in order is found out then."""
    whole = " ".join((log.address, log.block_hash, log.transaction_hash, *log.topics, log.data))
    if _WHOLE.match(whole) and whole.count(" ") == 3 + len(log.topics):
        return
    sizes = [(log.address, 42), (log.block_hash, 66), (log.transaction_hash, 66), *((t, 66) for t in log.topics)]
    if len(log.topics) > 4 or any(len(text) != size for text, size in sizes):
        raise Undecodable(f"log {log.index} of {log.transaction_hash}: a part has the wrong length")
    if not all(_HEX.match(text) for text in (log.data, *(text for text, _ in sizes))):
        raise Undecodable(f"log {log.index} of {log.transaction_hash}: a part is not hex")
