"""The anchors' tables: what was decided to be stated, and the signed transactions that carry it, stored before anybody hears of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connectors.chain.sending.fees import Bid
from connectors.chain.sending.signing import SignedTransaction, order_of
from infra.audit.check import Head, Refused
from infra.database import Cursor
from streams.audit_log.log import LogBroken

LOCK = "SELECT pg_advisory_xact_lock('audit_anchors'::regclass::oid::bigint)"
OPEN_STATES = ("signed", "broadcast", "mined")
ANCHORS = """
SELECT a.chain_id, a.sender, a.nonce, a.data, a.decided_at, t.tx_hash, t.state, t.block_number, t.block_hash
FROM audit_anchors AS a LEFT JOIN LATERAL (
    SELECT * FROM audit_transactions AS t WHERE (t.chain_id, t.sender, t.nonce) = (a.chain_id, a.sender, a.nonce)
    ORDER BY t.state IN ('replaced', 'lost'), t.signed_at DESC LIMIT 1
) AS t ON true
"""
ONE = f"{ANCHORS} WHERE a.chain_id = %s AND a.sender = %s ORDER BY a.nonce DESC LIMIT 1"
OF_OPEN_LOG = "log_of(a.data) = (SELECT log_id FROM audit_log)"
ALL = f"{ANCHORS} ORDER BY {OF_OPEN_LOG} DESC NULLS LAST, a.tree_size DESC, a.nonce DESC LIMIT %s OFFSET %s"
FINAL = f"{ANCHORS} WHERE t.state = 'final' AND {OF_OPEN_LOG} ORDER BY a.tree_size DESC, a.nonce DESC LIMIT 1"
BY_TRANSACTION = f"{ANCHORS} WHERE t.tx_hash = %s"
BY_SIZE = f"{ANCHORS} WHERE a.tree_size = %s AND {OF_OPEN_LOG} ORDER BY t.state = 'final' DESC, a.nonce DESC LIMIT 1"
OF_LOG = f"{ANCHORS} WHERE log_of(a.data) = %s::uuid ORDER BY a.tree_size, a.nonce"
DECIDE = """
INSERT INTO audit_anchors (chain_id, sender, nonce, tree_size, root, data) VALUES (%s, %s, %s, %s, %s, %s)
"""
STORE = """
INSERT INTO audit_transactions (tx_hash, chain_id, sender, nonce, signed, max_fee_wei, state)
VALUES (%s, %s, %s, %s, %s, %s, 'signed')
"""
SENT = """
SELECT tx_hash, nonce, signed, max_fee_wei, state, block_number, block_hash,
       coalesce(broadcast_at < clock_timestamp() - %s * interval '1 second', true),
       signed_at < clock_timestamp() - %s * interval '1 second'
FROM audit_transactions WHERE chain_id = %s AND sender = %s AND nonce = %s ORDER BY signed_at FOR UPDATE
"""
MARK = """
UPDATE audit_transactions SET state = %s, block_number = %s, block_hash = %s, marked_at = clock_timestamp()
WHERE tx_hash = %s AND (state, block_number, block_hash) IS DISTINCT FROM (%s, %s, %s)
"""
BROADCAST = """
UPDATE audit_transactions SET state = 'broadcast', block_number = NULL, block_hash = NULL, broadcast_at = clock_timestamp(),
    marked_at = clock_timestamp() WHERE tx_hash = %s
"""
STUCK_SECONDS = 60  # after which one that is its sender's next, and still not mined, offers more
FROZEN_SECONDS = 60  # an anchorer frozen while it sends holds its rows no longer than this


@dataclass(frozen=True)
class Anchor:
    """One statement on chain, and the transaction that carries it now."""

    chain_id: int
    sender: str
    nonce: int
    head: Head
    decided_at: datetime
    tx_hash: str | None
    state: str
    block_number: int | None
    block_hash: str | None

    @property
    def open(self) -> bool:
        """Whether it may still come to be final."""
        return self.state in OPEN_STATES


@dataclass(frozen=True)
class Sent:
    """A signed transaction. `late`: it was not broadcast, or too long ago. `old`: it was signed long ago."""

    tx_hash: str
    nonce: int
    signed: bytes = field(repr=False)
    max_fee_wei: int
    state: str
    block_number: int | None
    block_hash: str | None
    late: bool
    old: bool

    @property
    def bid(self) -> Bid:
        """What it offers."""
        order = order_of(self.signed)
        return Bid(order.max_fee_wei, order.tip_wei)


def lock(cursor: Cursor) -> None:
    """One at a time decides what is anchored next."""
    cursor.execute(LOCK)


def newest(cursor: Cursor, chain_id: int, sender: str) -> Anchor | None:
    """The anchor that this sender made last."""
    return _first(cursor, ONE, chain_id, sender)


def last_final(cursor: Cursor) -> Anchor | None:
    """The open log's largest anchor that is final: what proofs are made against."""
    return _first(cursor, FINAL)


def find(cursor: Cursor, wanted: str) -> Anchor | None:
    """An anchor by its transaction's hash, or one of the open log by its size."""
    return (
        _first(cursor, BY_TRANSACTION, wanted.lower())
        if wanted.startswith("0x")
        else _first(cursor, BY_SIZE, int(wanted))
    )


def page(cursor: Cursor, limit: int, offset: int = 0) -> list[Anchor]:
    """Anchors, the largest first; those of closed logs behind those of the open one."""
    cursor.execute(ALL, (limit, offset))
    return [_anchor(row) for row in cursor.fetchall()]


def of_log(cursor: Cursor, log_id: str) -> list[Anchor]:
    """All anchors of a log, the smallest first."""
    cursor.execute(OF_LOG, (log_id,))
    return [_anchor(row) for row in cursor.fetchall()]


def decide(cursor: Cursor, head: Head, signed: SignedTransaction) -> None:
    """Keep an anchor and its first transaction."""
    order = signed.order
    cursor.execute(DECIDE, (order.chain_id, signed.sender, order.nonce, head.size, head.root, head.encode()))
    store(cursor, signed)


def store(cursor: Cursor, signed: SignedTransaction) -> None:
    """Keep a transaction before anybody hears of it."""
    order = signed.order
    cursor.execute(STORE, (signed.hash, order.chain_id, signed.sender, order.nonce, signed.raw, order.max_fee_wei))


def sent(cursor: Cursor, anchor: Anchor, patience_seconds: int) -> list[Sent]:
    """All transactions of an anchor, the newest last, locked: one of them at most is ever mined."""
    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = %s", (f"{FROZEN_SECONDS}s",))
    cursor.execute(SENT, (patience_seconds, STUCK_SECONDS, anchor.chain_id, anchor.sender, anchor.nonce))
    return [Sent(row[0], row[1], bytes(row[2]), int(row[3]), *row[4:]) for row in cursor.fetchall()]


def mark(
    cursor: Cursor, each: Sent, state: str, block_number: int | None = None, block_hash: str | None = None
) -> bool:
    """What became of it. True if that is news."""
    told = (state, block_number, block_hash)
    cursor.execute(MARK, (*told, each.tx_hash, *told))
    return cursor.rowcount > 0


def mark_broadcast(cursor: Cursor, each: Sent) -> None:
    """It went out (again)."""
    cursor.execute(BROADCAST, (each.tx_hash,))


def _first(cursor: Cursor, query: str, *values: object) -> Anchor | None:
    cursor.execute(query, values)
    row = cursor.fetchone()
    return _anchor(row) if row else None


def _anchor(row: Sequence[object]) -> Anchor:
    chain_id, sender, nonce, data, decided_at, tx_hash, state, block_number, block_hash = row
    try:
        head = Head.parse(bytes(data))  # type: ignore[call-overload]
    except Refused as error:
        raise LogBroken(
            f"the row of the anchor at nonce {nonce} of {sender} was changed: {error}; run `payriver verify`"
        ) from None
    return Anchor(chain_id, sender, nonce, head, decided_at, tx_hash, str(state), block_number, block_hash)  # type: ignore[arg-type]
