"""Anchors that W has forgotten come back from the chain, which has them all: the sender's nonces say how many there are."""

from __future__ import annotations

from collections.abc import Sequence

from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from connectors.anchoring import onchain
from connectors.anchoring.onchain import Stated
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from connectors.recovery.chain import raw_transaction
from infra.database import Cursor
from infra.errors import Retry

NAMED = "SELECT nonce, tx_hash FROM audit_transactions WHERE chain_id = %s AND sender = %s"
ANCHOR = """
INSERT INTO audit_anchors (chain_id, sender, nonce, tree_size, root, data) VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
TRANSACTION = """
INSERT INTO audit_transactions (tx_hash, chain_id, sender, nonce, signed, max_fee_wei, state, block_number, block_hash)
VALUES (%s, %s, %s, %s, %s, %s, 'final', %s, %s)
"""


def forgotten(cursor: Cursor, rpc: Rpc, chain: ChainSettings) -> list[Stated]:
    """Final anchors that no row of W names. Raises Retry while one is on its way: what it is, the chain says when it is final."""
    if chain.anchors is None:
        return []
    sender, named = chain.anchors.sender, dict[int, list[str]]()
    cursor.execute(NAMED, (chain.chain_id, sender))
    for nonce, tx_hash in cursor.fetchall():
        named.setdefault(nonce, []).append(tx_hash)
    found = onchain.read(rpc, chain, named)
    if any(nonce not in named for nonce in range(rpc.nonce(sender, found.final_number), rpc.nonce(sender))):
        raise Retry(
            f"an anchor of {sender} that W does not know of is not final yet; do it again when it is, in a minute"
        )
    return [each for each in found.stated if each.head is not None and not each.known]


def bring_back_anchors(cursor: Cursor, rpc: Rpc, chain: ChainSettings, lost: Sequence[Stated]) -> int:
    """Their rows, in the caller's transaction; gives how many. One whose bytes the node does not give stays for `verify` to name."""
    done = 0
    for each in lost:
        raw, block = raw_transaction(rpc, each.tx_hash), rpc.block(each.block_number)
        if chain.anchors is None or each.head is None or raw is None or block is None:
            continue
        place = (chain.chain_id, chain.anchors.sender, each.nonce)
        max_fee_wei = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()["maxFeePerGas"]
        cursor.execute(ANCHOR, (*place, each.head.size, each.head.root, each.head.encode()))
        cursor.execute(TRANSACTION, (each.tx_hash, *place, raw, max_fee_wei, block.number, block.hash))
        done += 1
    return done
