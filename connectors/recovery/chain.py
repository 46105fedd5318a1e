"""What the submitter had signed comes back from the chain itself, so that nothing is paid a second time; what cannot be told waits for a person.

A spend sent twice moves once: its salt binds it. A refund has its nonce alone, so one of which nobody can tell whether it was sent is parked.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes
from psycopg2.extras import execute_values

from connectors.chain.node.errors import RpcRefused
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.intents import IntentAgent
from connectors.chain.settings import ChainSettings
from infra.database import Cursor
from infra.errors import BadInput, Stop
from schemas.codec import Codec
from schemas.messages.chain_commands import SubmitRefund, SubmitSpend
from schemas.messages.payment_events import LegSeen, LegSubmitted
from schemas.topics import CHAIN_COMMANDS
from streams.runtime.parked import park
from streams.runtime.records import Place, Record

STORE = """
INSERT INTO chain_transactions (tx_hash, leg_id, chain_id, sender, nonce, signed, max_fee_wei, state) VALUES %s
ON CONFLICT (tx_hash) DO NOTHING
"""
SUBMITTED = "UPDATE chain_intents SET state = 'submitted' WHERE leg_id = ANY(%s::uuid[]) AND state = 'planned'"
COUNT = """
INSERT INTO chain_nonces AS n (chain_id, sender, next_nonce) VALUES (%s, %s, %s)
ON CONFLICT (chain_id, sender) DO UPDATE SET next_nonce = greatest(n.next_nonce, excluded.next_nonce)
"""
SENDERS = "SELECT chain_id, sender FROM chain_nonces"


class InDoubt(Stop):
    """Nobody can tell whether a refund was sent."""

    reason = "in_doubt"


@dataclass(frozen=True)
class Chain:
    """The node as the chain file names it, and the agent that makes intents.

    `ours`: addresses of the keys that send. `places`: (topic, partition) -> where a parked record stands.
    """

    settings: ChainSettings
    rpc: Rpc
    agent: IntentAgent
    ours: frozenset[str]
    places: Mapping[tuple[str, int], Place]


@dataclass(frozen=True)
class Sent:
    """A transaction of ours, as the node has it."""

    leg_id: UUID
    tx_hash: str
    chain_id: int
    sender: str
    nonce: int
    signed: bytes
    max_fee_wei: int


def bring_back_chain(
    cursor: Cursor, codec: Codec, chain: Chain, lost: Sequence[Record], orders: Sequence[Record]
) -> tuple[int, int]:
    """Intents, transactions and nonces, in the caller's transaction, after the events. Gives transactions back, refunds parked."""
    told = [(record, leg, refund) for record in orders if (about := _order(codec, record)) for leg, refund in [about]]
    stored = list(_sent(codec, chain, lost, {leg for _, leg, _ in told}))
    known = {each.leg_id for each in stored}
    mine = [record for record, leg, _ in told if leg in known]
    if mine:
        chain.agent.apply(cursor, mine)
    if stored:
        rows = [
            (t.tx_hash, t.leg_id, t.chain_id, t.sender, t.nonce, t.signed, t.max_fee_wei, "broadcast") for t in stored
        ]
        execute_values(cursor, STORE, rows)
        cursor.execute(SUBMITTED, ([each.leg_id for each in stored],))
    _count(cursor, chain.rpc, stored)
    return len(stored), _park(cursor, chain, [record for record, leg, refund in told if refund and leg not in known])


def _sent(codec: Codec, chain: Chain, lost: Sequence[Record], legs: Container[UUID]) -> Iterator[Sent]:
    """The transactions of ours that carried these legs: told when they went out, or seen in a block before that was told."""
    done: set[str] = set()
    for record in lost:
        said = codec.decode(record.value)
        if not isinstance(said, LegSubmitted | LegSeen) or said.leg_id not in legs or said.tx_hash in done:
            continue
        signed = raw_transaction(chain.rpc, said.tx_hash)
        if signed is None or (sender := Account.recover_transaction(signed)) not in chain.ours:
            continue  # dropped by the node, and nobody has its bytes any more; or a stranger relayed it
        done.add(said.tx_hash)
        told: dict[str, Any] = TypedTransaction.from_bytes(HexBytes(signed)).as_dict()
        yield Sent(said.leg_id, said.tx_hash, told["chainId"], sender, told["nonce"], signed, told["maxFeePerGas"])


def raw_transaction(rpc: Rpc, tx_hash: str) -> bytes | None:
    """The signed bytes of a transaction, where the node has and gives them."""
    try:
        raw = rpc.call("eth_getRawTransactionByHash", tx_hash)
    except RpcRefused:
        return None
    return bytes(HexBytes(raw)) if raw else None


def _order(codec: Codec, record: Record) -> tuple[UUID, bool] | None:
    """The leg of an order to the submitter, and whether it is a refund."""
    if record.topic != CHAIN_COMMANDS:
        return None
    try:
        order = codec.decode(record.value)
    except BadInput:
        return None
    return (order.leg_id, isinstance(order, SubmitRefund)) if isinstance(order, SubmitSpend | SubmitRefund) else None


def _count(cursor: Cursor, rpc: Rpc, stored: Sequence[Sent]) -> None:
    """No nonce is given out again that a sender has used already, whether we know what for or not."""
    cursor.execute(SENDERS)
    senders = {(chain_id, sender) for chain_id, sender in cursor.fetchall()}
    used = {(each.chain_id, each.sender): 0 for each in stored}
    for each in stored:
        used[each.chain_id, each.sender] = max(used[each.chain_id, each.sender], each.nonce + 1)
    for chain_id, sender in sorted(senders | used.keys()):
        cursor.execute(COUNT, (chain_id, sender, max(used.get((chain_id, sender), 0), rpc.nonce(sender))))


def _park(cursor: Cursor, chain: Chain, doubtful: Sequence[Record]) -> int:
    for record in doubtful:
        why = InDoubt(
            "W was restored to a point before this refund was ordered, and nothing says whether it was sent: look at settlement's "
            "transactions on the chain; `payriver parked replay` pays it, `payriver parked discard` if it was paid"
        )
        park(cursor, "submitter", chain.places[record.topic, record.partition], record, why)
    return len(doubtful)
