"""Debits that others sent: which nonce each has, and when that is used for good though a reorg dropped the debit.

Ours are followed by the submitter, which knows their nonces. A withdrawal or a burn is seldom enough that the node is asked for its
transaction when it is seen: after a reorg a node may have forgotten it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from connectors.chain.node.rpc import Rpc
from infra.database import Cursor
from streams.domain.chain.facts import Block, EndTransfer, SeeTransfer

log = structlog.get_logger(__name__)
Key = tuple[UUID, UUID]
"""(sighting, account)."""
Carrier = tuple[str, int]
"""(sender, nonce) of a transaction."""
KINDS = ("withdrawal", "burn")
ADDRESS = re.compile("0x[0-9a-f]{40}")

REMEMBER = """
UPDATE chain_sightings AS s SET sender = new.sender, nonce = new.nonce FROM (VALUES %s) AS new (sighting_id, account_id, sender, nonce)
WHERE s.sighting_id = new.sighting_id AND s.account_id = new.account_id
"""
WAITING = """
SELECT sighting_id, account_id, block_number, block_hash, block_time, sender, nonce FROM chain_sightings
WHERE chain_id = %s AND state = 'unseen' AND nonce IS NOT NULL ORDER BY block_number, sighting_id
"""
FORGET = """
UPDATE chain_sightings AS s SET sender = NULL, nonce = NULL FROM (VALUES %s) AS gone (sighting_id, account_id)
WHERE s.sighting_id = gone.sighting_id AND s.account_id = gone.account_id
"""


@dataclass(frozen=True)
class Vanished:
    """A debit that stands in no block, and the nonce without which it never will."""

    account_id: UUID
    transfer_id: UUID
    block: Block
    sender: str
    nonce: int


def carriers(rpc: Rpc, found: Sequence[Any]) -> dict[Key, Carrier]:
    """Who sent what of these facts is a debit, neither a spend nor ours, and at which nonce, as far as the node tells."""
    debits = [fact.transfer for fact in found if isinstance(fact, SeeTransfer) and fact.transfer.kind in KINDS]
    told = rpc.batch([("eth_getTransactionByHash", [each.tx_hash]) for each in debits])
    sent_by = {}
    for each, transaction in zip(debits, told, strict=True):
        carrier = _carrier(transaction, each.tx_hash)
        if carrier is not None:
            sent_by[each.transfer_id, each.account_id] = carrier
        else:
            log.warning("debit_without_nonce", account_id=str(each.account_id), tx_hash=each.tx_hash)
    return sent_by


def used_up(rpc: Rpc, waiting: Sequence[Vanished], final: int, nodes: int) -> list[EndTransfer]:
    """Those whose sender has used their nonce up to the final block: what had carried them there would have been seen.

    `nodes`: so many must say so; those of whom too few do wait.
    """
    senders = sorted({each.sender for each in waiting})
    counts = {sender: rpc.final_nonce(sender, final, nodes) or 0 for sender in senders}
    gone = (each for each in waiting if each.nonce < counts[each.sender])
    return [EndTransfer(each.account_id, each.transfer_id, each.block) for each in gone]


def remember(cursor: Cursor, found: Mapping[Key, Carrier]) -> None:
    """Keep the nonces with the sightings."""
    cursor.postpone_values(REMEMBER, [(*key, *carrier) for key, carrier in found.items()])


def waiting(cursor: Cursor, chain_id: int) -> list[Vanished]:
    """What is in no block and may come again, as far as its nonce is known."""
    cursor.execute(WAITING, (chain_id,))
    return [
        Vanished(account_id, transfer_id, Block(number, digest, time), sender, int(nonce))
        for transfer_id, account_id, number, digest, time, sender, nonce in cursor.fetchall()
    ]


def forget(cursor: Cursor, ended: Sequence[EndTransfer]) -> None:
    """These are asked about no more."""
    cursor.postpone_values(FORGET, [(each.transfer_id, each.account_id) for each in ended])


def _carrier(told: Any, tx_hash: str) -> Carrier | None:
    """What a node says of this transaction; None for another, or for what is none."""
    try:
        sender, nonce = str(told["from"]).lower(), int(told["nonce"], 16)
        ours = str(told["hash"]).lower() == tx_hash and ADDRESS.fullmatch(sender) and 0 <= nonce < 2**64
    except (KeyError, TypeError, ValueError):
        return None
    return (sender, nonce) if ours else None
