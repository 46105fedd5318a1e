"""Reads anchors from the chain and from nowhere else: the sender's nonces say how many there are, as the node has it that knows of most, so that
none can be hidden from us.

Our own table only says where to look. An anchor that it does not name is searched for by the sender's count of transactions, block by
block in halves, as far back as the node still knows the state of its blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.anchoring.anchorer import final_number
from connectors.chain.node.errors import RpcRefused
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import Anchors, ChainSettings
from infra.audit.check import Head, Refused

A_REQUEST = 100
HASH = re.compile(r"0x[0-9a-f]{64}")
"""What a node may be asked; a row that was tampered with names anything."""


@dataclass(frozen=True)
class Stated:
    """A final transaction of the sender. `head` is None where it states no head of a log; `known`: our table named it."""

    nonce: int
    tx_hash: str
    block_number: int
    head: Head | None
    known: bool


@dataclass(frozen=True)
class OnChain:
    """What the sender has stated up to a final block. `unreadable`: nonces whose transactions nobody finds any more."""

    final_number: int
    stated: tuple[Stated, ...]
    unreadable: tuple[int, ...]


def read(rpc: Rpc, chain: ChainSettings, named: Mapping[int, Sequence[str]]) -> OnChain:
    """All that the sender has stated, in order. `named`: nonce -> hashes of transactions that may be it, by our table."""
    anchors = chain.anchors
    assert anchors is not None
    final = final_number(rpc, chain)
    nonces = range(anchors.first_nonce, rpc.highest_nonce(anchors.sender, final))
    found: dict[int, Stated] = {}
    hashes = [each for nonce in nonces for each in named.get(nonce, ()) if HASH.fullmatch(each)]
    for start in range(0, len(hashes), A_REQUEST):
        found |= _named(rpc, anchors, hashes[start : start + A_REQUEST], final)
    for nonce in nonces:
        if nonce not in found and (stated := _search(rpc, chain, nonce, _from(found, nonce, chain), final)) is not None:
            found[nonce] = stated
    unreadable = tuple(nonce for nonce in nonces if nonce not in found)
    return OnChain(final, tuple(found[nonce] for nonce in nonces if nonce in found), unreadable)


def _named(rpc: Rpc, anchors: Anchors, hashes: Sequence[str], final: int) -> dict[int, Stated]:
    """Those of the hashes that the node knows as final transactions of the sender."""
    transactions = rpc.batch([("eth_getTransactionByHash", [each]) for each in hashes])
    receipts = rpc.receipts(list(hashes))
    found = {}
    for told, receipt in zip(transactions, receipts, strict=True):
        if isinstance(told, RpcRefused) or not told or receipt is None or receipt.block_number > final:
            continue
        if str(told["from"]).lower() == anchors.sender.lower():
            found[int(told["nonce"], 16)] = _stated(told, receipt.block_number, receipt.succeeded, known=True)
    return found


def _search(rpc: Rpc, chain: ChainSettings, nonce: int, first: int, final: int) -> Stated | None:
    """The sender's transaction of this nonce, in the block after which it counts as sent; None where the node has forgotten."""
    anchors = chain.anchors
    assert anchors is not None
    low, high = first, final
    while low < high:
        middle = (low + high) // 2
        if _used(rpc, anchors.sender, nonce, middle):
            high = middle
        else:
            low = middle + 1
    block = rpc.call("eth_getBlockByNumber", hex(low), True) or {}
    for told in block.get("transactions", ()):
        if str(told["from"]).lower() == anchors.sender.lower() and int(told["nonce"], 16) == nonce:
            receipt = rpc.receipt(told["hash"])
            return _stated(told, low, receipt is not None and receipt.succeeded, known=False)
    return None


def _used(rpc: Rpc, sender: str, nonce: int, block_number: int) -> bool:
    """Whether the nonce is used after a block. Of one whose state the node has pruned we say no: what it can tell is later."""
    try:
        return rpc.nonce(sender, block_number) > nonce
    except RpcRefused:
        return False


def _from(found: Mapping[int, Stated], nonce: int, chain: ChainSettings) -> int:
    """No nonce is used before the one below it."""
    below = [each.block_number for number, each in found.items() if number < nonce]
    return max(below, default=chain.start_block)


def _stated(told: Mapping[str, Any], block_number: int, succeeded: bool, *, known: bool) -> Stated:
    try:
        head = Head.parse(bytes.fromhex(told["input"][2:])) if succeeded else None
    except Refused:
        head = None
    return Stated(int(told["nonce"], 16), str(told["hash"]).lower(), block_number, head, known)
