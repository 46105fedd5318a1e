"""Many view calls in one `eth_call`, by Multicall3: all of the same block, and one that fails spoils no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import eth_abi

from connectors.chain.abi import answers, selector
from connectors.chain.chain_values import At
from connectors.chain.rpc import Rpc
from infra.errors import Undecodable

AGGREGATE = selector("aggregate3((address,bool,bytes)[])")
BLOCK_TIME = "getCurrentBlockTimestamp()"


def aggregate(rpc: Rpc, multicall: str, calls: Sequence[tuple[str, bytes]], at: At) -> list[bytes | None]:
    """Answers of `calls` (address, call data) in order; None where one failed or answered nothing."""
    data = AGGREGATE + bytes(eth_abi.encode(["(address,bool,bytes)[]"], [[(to, True, data) for to, data in calls]]))
    (found,) = answers(("(bool,bytes)[]",), rpc.eth_call(multicall, data, at))
    return [bytes(data) if good and data else None for good, data in found]


def decoded(types: Sequence[str], data: bytes | None) -> tuple[Any, ...] | None:
    """The values of one answer; None where there is none of these types."""
    if data is None:
        return None
    try:
        return answers(types, data)
    except Undecodable:
        return None
