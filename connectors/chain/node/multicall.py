"""Many view calls in one `eth_call`, by Multicall3: all of the same block, and one that fails spoils no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import eth_abi

from connectors.chain.node.abi import answers, selector
from connectors.chain.node.endpoint import good
from connectors.chain.node.errors import CallReverted
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import At
from infra.errors import Undecodable

AGGREGATE = selector("aggregate3((address,bool,bytes)[])")
BLOCK_TIME = "getCurrentBlockTimestamp()"


def aggregate(rpc: Rpc, multicall: str, calls: Sequence[tuple[str, bytes]], at: At) -> list[bytes | None]:
    """Answers of `calls` (address, call data) in order; None where one failed or answered nothing.

    What failed is asked once more by itself: a stranger's contract may have used up the gas of all that came after it, or have answered so
    much that none was left.
    """
    data = AGGREGATE + bytes(eth_abi.encode(["(address,bool,bytes)[]"], [[(to, True, data) for to, data in calls]]))
    try:
        (said,) = answers(("(bool,bytes)[]",), rpc.eth_call(multicall, data, at))
        found = [bytes(data) if well and data else None for well, data in said]
    except CallReverted:
        found = [None] * len(calls)
    failed = [place for place, answer in enumerate(found) if answer is None]
    for place, answer in zip(failed, rpc.eth_calls([calls[place] for place in failed], at), strict=True):
        found[place] = None if isinstance(answer, CallReverted) else good(answer) or None
    return found


def decoded(types: Sequence[str], data: bytes | None) -> tuple[Any, ...] | None:
    """The values of one answer; None where there is none of these types."""
    if data is None:
        return None
    try:
        return answers(types, data)
    except Undecodable:
        return None
