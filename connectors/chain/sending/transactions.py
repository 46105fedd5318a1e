"""The submitter's tables: intents claimed, transactions stored before they are broadcast."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from connectors.chain.node.values import Receipt
from connectors.chain.sending.fees import Bid
from connectors.chain.sending.nonces import IDLE
from connectors.chain.sending.signing import SignedTransaction, order_of
from infra.database import Cursor
from schemas.definition import Raw

MAX_RETRY_SECONDS = 3600  # a spend that fails again and again is sent again and again, but ever more slowly
INTENT = "i.leg_id, i.kind, i.target, i.call_data, i.signer"
CARRIED = f"""
EXISTS (
    SELECT 1 FROM chain_transactions AS t WHERE t.leg_id = i.leg_id AND (
        i.kind = 'refund' OR t.state IN ('broadcast', 'mined', 'final')
        OR (t.state = 'signed' AND (i.kind <> 'spend' OR t.sender <> ALL(%s::text[]))))
) OR EXISTS (
    SELECT 1 FROM chain_transactions AS t WHERE t.leg_id = i.leg_id
    HAVING max(t.marked_at) > clock_timestamp() - least({MAX_RETRY_SECONDS}, %s * 2 ^ least(count(*) - 1, 12)) * interval '1 second'
)
"""
WANTED = """
(i.kind <> 'spend' OR NOT EXISTS (SELECT 1 FROM chain_intents AS given_up WHERE given_up.invalidates = i.leg_id))
AND (i.kind <> 'invalidation' OR EXISTS (
    SELECT 1 FROM chain_intents AS spend WHERE spend.leg_id = i.invalidates AND spend.state IN ('planned', 'submitted')))
"""
CLAIM = f"""
SELECT i.leg_id FROM chain_intents AS i
WHERE i.chain_id = %s AND i.signer = ANY(%s) AND i.leg_id <> ALL(%s::uuid[]) AND i.state IN ('planned', 'submitted') AND {WANTED} AND NOT ({CARRIED})
ORDER BY i.planned_at LIMIT %s FOR UPDATE OF i SKIP LOCKED
"""
STILL = f"SELECT {INTENT} FROM chain_intents AS i WHERE i.leg_id = ANY(%s::uuid[]) AND NOT ({CARRIED}) ORDER BY i.planned_at"
ONE = f"SELECT {INTENT} FROM chain_intents AS i WHERE i.leg_id = %s"
STORE = """
INSERT INTO chain_transactions (tx_hash, leg_id, chain_id, sender, nonce, signed, max_fee_wei, state)
VALUES (%s, %s, %s, %s, %s, %s, %s, 'signed')
"""
STUCK_SECONDS = 60  # after which one that is its sender's next, and still not mined, offers more
COLUMNS = f"""
t.tx_hash, t.leg_id, i.payment_id, i.account_id, i.kind, i.amount_raw, t.sender, t.nonce, t.signed, t.max_fee_wei, t.state,
i.correlation_id, i.traceparent, t.signed_at < clock_timestamp() - {STUCK_SECONDS} * interval '1 second'
"""
SENT = f"""
SELECT {COLUMNS} FROM chain_transactions AS t INNER JOIN chain_intents AS i USING (leg_id) WHERE t.chain_id = %(chain_id)s AND
"""
WAITS = f"""
t.chain_id = %(chain_id)s AND (t.state = 'signed'
    OR (t.state = 'broadcast' AND t.broadcast_at < clock_timestamp() - %(patience)s * interval '1 second'))
AND (NOT ({IDLE.format("t")}) OR EXISTS (
    SELECT 1 FROM chain_transactions AS b WHERE b.chain_id = t.chain_id AND b.sender = t.sender AND b.nonce > t.nonce
    AND b.state IN ('signed', 'broadcast') AND NOT ({IDLE.format("b")})))
"""
TO_BROADCAST = f"""
SELECT {COLUMNS} FROM chain_transactions AS t INNER JOIN chain_intents AS i USING (leg_id) INNER JOIN (
    SELECT t.tx_hash, row_number() OVER (PARTITION BY t.sender ORDER BY t.nonce) AS place FROM chain_transactions AS t WHERE {WAITS}
) AS of_sender USING (tx_hash)
WHERE {WAITS} ORDER BY of_sender.place, t.sender LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED
"""
TO_WATCH = f"""{SENT} (t.state = 'broadcast' OR (t.state IN ('mined', 'reverted')
    AND (i.state IN ('planned', 'submitted') OR t.block_number <= %(final)s))) ORDER BY t.looked_at LIMIT %(limit)s"""
LOOKED = "UPDATE chain_transactions SET looked_at = clock_timestamp() WHERE tx_hash = ANY(%s)"
AT_NONCE = f"{SENT} t.sender = %(sender)s AND t.nonce = %(nonce)s"
FINISHED = "UPDATE chain_intents SET state = 'final' WHERE leg_id = %s AND kind = 'invalidation'"
ENDED = "UPDATE chain_intents SET state = 'ended_unpaid' WHERE leg_id = %s AND state NOT IN ('seen', 'final')"
BROADCAST = """
UPDATE chain_transactions SET state = CASE state WHEN 'signed' THEN 'broadcast' ELSE state END, broadcast_at = clock_timestamp(),
    marked_at = clock_timestamp() WHERE tx_hash = ANY(%s)
"""
SUBMITTED = "UPDATE chain_intents SET state = 'submitted' WHERE leg_id = ANY(%s::uuid[]) AND state = 'planned'"
MARK = """
UPDATE chain_transactions SET state = %s, block_number = %s, reason = coalesce(%s, reason), marked_at = clock_timestamp()
WHERE tx_hash = %s AND state = %s
"""
SETTLEMENT = """
SELECT s.account_id FROM chain_wallets AS s INNER JOIN chain_wallets AS c ON c.chain_id = s.chain_id AND c.token = s.token
WHERE s.kind = 'settlement' AND c.account_id = %s
"""
VIEW = "SELECT max(seen_hash), coalesce(max(final_number), 0) FROM chain_cursors WHERE chain_id = %s"


@dataclass(frozen=True)
class Intent:
    """What must be moved: its call never changes."""

    leg_id: UUID
    kind: str
    target: str
    call_data: bytes = field(repr=False)
    signer: str


@dataclass(frozen=True)
class Sent:
    """A signed transaction, and whose leg it carries."""

    tx_hash: str
    leg_id: UUID
    payment_id: UUID
    account_id: UUID
    kind: str
    amount_raw: Raw
    sender: str
    nonce: int
    signed: bytes = field(repr=False)
    max_fee_wei: int
    state: str
    correlation_id: str | None
    traceparent: str | None
    old: bool

    @property
    def bid(self) -> Bid:
        """What it offers."""
        order = order_of(self.signed)
        return Bid(order.max_fee_wei, order.tip_wei)


def claim_intents(
    cursor: Cursor,
    chain_id: int,
    signers: Sequence[str],
    limit: int,
    retry_seconds: int,
    but: Collection[UUID] = (),
    empty: Collection[str] = (),
) -> list[Intent]:
    """Intents of these signers that no transaction carries now, locked: new ones, and spends whose last transaction failed a while ago.

    `but`: legs that are left alone. `empty`: senders that cannot pay: a spend that one of them signed, and that no node took, goes to another.

    A spend that is given up is carried no more; what is to be taken back is left alone while a block carries it.

    Asked again under the lock: another submitter may have signed one between our look and our lock, and a refund that two
    transactions carry would be paid twice.
    """
    cursor.execute(CLAIM, (chain_id, list(signers), list(but), list(empty), retry_seconds, limit))
    locked = [leg_id for (leg_id,) in cursor.fetchall()]
    if not locked:
        return []
    cursor.execute(STILL, (locked, list(empty), retry_seconds))
    return [_intent(row) for row in cursor.fetchall()]


def intent(cursor: Cursor, leg_id: UUID) -> Intent:
    """The intent of a leg that has one."""
    cursor.execute(ONE, (leg_id,))
    (row,) = cursor.fetchall()
    return _intent(row)


def store(cursor: Cursor, leg_id: UUID, signed: SignedTransaction) -> None:
    """Keep a transaction before anybody hears of it."""
    order = signed.order
    values = (signed.hash, leg_id, order.chain_id, signed.sender, order.nonce, signed.raw, order.max_fee_wei)
    cursor.postpone(STORE, values)


def to_broadcast(cursor: Cursor, chain_id: int, limit: int, patience_seconds: int) -> list[Sent]:
    """Signed transactions, and broadcast ones that were not mined for a while; locked, those of others passed over.

    Each sender's in the order of their nonces, and every sender's first before anybody's second: one whose all are refused leaves room.
    One that is `idle` goes out only where a later one of its sender waits behind it.
    """
    cursor.execute(TO_BROADCAST, {"chain_id": chain_id, "patience": patience_seconds, "limit": limit})
    return [_sent(row) for row in cursor.fetchall()]


def to_watch(cursor: Cursor, chain_id: int, final: int, limit: int) -> list[Sent]:
    """Transactions of which a receipt may say something new: those not mined yet, those whose leg the listener does not see,
    and those whose block is final. Where there are more than `limit`, those not looked at for longest."""
    cursor.execute(TO_WATCH, {"chain_id": chain_id, "final": final, "limit": limit})
    found = [_sent(row) for row in cursor.fetchall()]
    if len(found) == limit:
        cursor.postpone(LOOKED, ([each.tx_hash for each in found],))
    return found


def at_nonce(cursor: Cursor, chain_id: int, sender: str, nonce: int) -> list[Sent]:
    """All transactions of ours at one nonce: one of them at most is ever mined."""
    cursor.execute(AT_NONCE, {"chain_id": chain_id, "sender": sender, "nonce": nonce})
    return [_sent(row) for row in cursor.fetchall()]


def end_intent(cursor: Cursor, leg_id: UUID) -> bool:
    """The leg can never happen any more. False where the listener has seen it happen."""
    cursor.execute(ENDED, (leg_id,))
    return cursor.rowcount == 1


def finish_intent(cursor: Cursor, leg_id: UUID) -> None:
    """An invalidation is final. How far a leg is, the listener says."""
    cursor.postpone(FINISHED, (leg_id,))


def mark_broadcast(cursor: Cursor, gone: Sequence[Sent]) -> None:
    """They went out (again)."""
    if gone:
        cursor.postpone(BROADCAST, ([each.tx_hash for each in gone],))
        cursor.postpone(SUBMITTED, ([each.leg_id for each in gone],))


def mark_replaced(cursor: Cursor, tx_hash: str, state: str) -> None:
    """Another transaction has its nonce. `state`: that it is in."""
    cursor.postpone(MARK, ("replaced", None, None, tx_hash, state))


def mark(cursor: Cursor, sent: Sent, state: str, block_number: int | None, reason: str | None = None) -> None:
    """What became of it, and why; nothing if another submitter has said so meanwhile."""
    cursor.postpone(MARK, (state, block_number, reason, sent.tx_hash, sent.state))


def settlement_of(cursor: Cursor, account_id: UUID) -> UUID | None:
    """The settlement account that pays this customer's refunds, if it is under watch."""
    cursor.execute(SETTLEMENT, (account_id,))
    row = cursor.fetchone()
    return row[0] if row else None


def chain_view(cursor: Cursor, chain_id: int) -> tuple[str | None, int]:
    """The newest block that the listener has booked, and the height of the last final one."""
    cursor.execute(VIEW, (chain_id,))
    (row,) = cursor.fetchall()
    return row[0], int(row[1])


def _intent(row: Sequence[Any]) -> Intent:
    leg_id, kind, target, call, signer = row
    return Intent(leg_id, kind, target, bytes(call), signer)


def _sent(row: tuple[object, ...]) -> Sent:
    values = list(row)
    values[5], values[8], values[9] = Raw(int(values[5])), bytes(values[8]), int(values[9])  # type: ignore[call-overload]
    return Sent(*values)  # type: ignore[arg-type]


STATES: Mapping[tuple[bool, bool], str] = {
    (True, False): "mined",
    (True, True): "final",
    (False, False): "reverted",
    (False, True): "reverted_final",
}
"""By (succeeded, in a final block)."""


def state_of(receipt: Receipt | None, final: int) -> str:
    """What a transaction is by its receipt, or without one."""
    return "broadcast" if receipt is None else STATES[receipt.succeeded, receipt.block_number <= final]
