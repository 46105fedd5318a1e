"""States the log's root on chain: decide, sign, store, broadcast, watch until it is final. Killed anywhere, it goes on.

One anchor at a time: the next is decided when the last is final or can never be. An anchor has one nonce for ever; a reorg that drops
its block sends the same bytes again. That it is final, or lost, a majority of the nodes says: its nonce is used at a block that they have as final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine

from connectors.anchoring import rows
from connectors.anchoring.rows import Anchor, Sent
from connectors.chain.node.errors import NonceTooLow, Underpriced
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Receipt
from connectors.chain.sending.fees import Bid, first_bid, higher_bid
from connectors.chain.sending.signing import Key, SignedTransaction, TransactionOrder
from connectors.chain.settings import ByDepth, ChainSettings
from infra.audit.check import Head, Refused, roots_by_consistency
from infra.database import Cursor, transaction
from infra.errors import Unreachable
from infra.failpoints import failpoint
from streams.audit_log import closing, log, merkle

logger = structlog.get_logger(__name__)
GAS = 60_000
PATIENCE_SECONDS = 15  # then it is broadcast again, and its fee raised where the node asks for more
OLDEST = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::float8
FROM audit_leaves AS l INNER JOIN events AS e USING (position) WHERE l.leaf_index = %s
"""
WITNESSED = "SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_witness"


@dataclass
class Anchorer:
    """Whoever anchors. `write`, `read`: W and R as role audit. `key`: fingerprint of the key that signs exports; zeros without one."""

    write: Engine
    read: Engine
    rpc: Rpc
    chain: ChainSettings
    signer: Key
    key: bytes = bytes(32)

    def due(self, seconds: int, events: int) -> bool:
        """Whether an event waits for longer than `seconds`, or more than `events` do."""
        with transaction(self.write) as cursor:
            newest = rows.newest(cursor, self.chain.chain_id, self.signer.address)
            covered = _covered(newest, log.log_id(cursor))
            waiting = log.end(cursor).size - covered
            cursor.execute(OLDEST, (covered,))
            row = cursor.fetchone()
        return waiting >= events or (row is not None and row[0] >= seconds)

    def begin(self) -> Anchor | None:
        """Decide and sign the next anchor, unless one is open or nothing came since. Raises LogBroken, and then anchors nothing."""
        bid = first_bid(self.rpc.fees(), self.chain.max_fee_wei)
        with transaction(self.write) as cursor:
            rows.lock(cursor)
            last = rows.newest(cursor, self.chain.chain_id, self.signer.address)
            head = self._head(cursor)
            covered = _covered(last, head.log_id)
            if (last and last.open) or head.size <= covered:
                return None
            if last is not None:
                goes_on(cursor, last.head, head)
            nonce = last.nonce + 1 if last else self.rpc.nonce(self.signer.address, "latest")
            rows.decide(cursor, head, self._signed(head, nonce, bid))
            failpoint("audit.before_anchor_commit")
        failpoint("audit.after_anchor_commit")
        return self.newest()

    def newest(self) -> Anchor | None:
        """The anchor made last."""
        with transaction(self.write) as cursor:
            return rows.newest(cursor, self.chain.chain_id, self.signer.address)

    def carry(self) -> bool:
        """Once through for the open anchor: send what must be sent, see what became of it. True if anything moved."""
        anchor = self.newest()
        if anchor is None or not anchor.open:
            return False
        final = final_number(self.rpc, self.chain)
        with transaction(self.write) as cursor:
            sent = rows.sent(cursor, anchor, PATIENCE_SECONDS)
            receipts = self.rpc.receipts([each.tx_hash for each in sent])
            mined = [(each, receipt) for each, receipt in zip(sent, receipts, strict=True) if receipt is not None]
            return self._settle(cursor, sent, *mined[0], final) if mined else self._send(cursor, sent, final)

    def _head(self, cursor: Cursor) -> Head:
        """The log as far as the witness has it too."""
        with transaction(self.read) as witness:
            witness.execute(WITNESSED)
            ((witnessed,),) = witness.fetchall()
        size = min(log.end(cursor).size, witnessed)
        return Head(log.log_id(cursor), size, merkle.root(size, log.Hashes(cursor)), self.key)

    def _signed(self, head: Head, nonce: int, bid: Bid) -> SignedTransaction:
        """Nothing is called and nothing moves: the sender tells itself the head."""
        order = TransactionOrder(
            chain_id=self.chain.chain_id,
            nonce=nonce,
            to=self.signer.address,
            data=head.encode(),
            gas=GAS,
            max_fee_wei=bid.max_fee_wei,
            tip_wei=bid.tip_wei,
        )
        return self.signer.sign_transaction(order)

    def _settle(self, cursor: Cursor, sent: Sequence[Sent], carrier: Sent, receipt: Receipt, final: int) -> bool:
        """One of them is in a block; the others never will be while it is."""
        is_final = receipt.block_number <= final and self._used(carrier, final)
        state = "final" if is_final else "mined"
        if not receipt.succeeded:
            state = "lost"
            logger.error("anchor_failed", tx_hash=carrier.tx_hash, block_number=receipt.block_number)
        moved = [rows.mark(cursor, each, "replaced") for each in sent if each is not carrier]
        moved.append(rows.mark(cursor, carrier, state, receipt.block_number, receipt.block_hash))
        failpoint("audit.before_anchor_watched")
        return any(moved)

    def _send(self, cursor: Cursor, sent: Sequence[Sent], final: int) -> bool:
        """None is in a block: never was, or a reorg dropped it. The newest goes out, with a fee that the node takes."""
        current = sent[-1]
        for each in sent[:-1]:
            rows.mark(cursor, each, "replaced")
        if self._used(current, final):
            logger.error("anchor_lost", tx_hash=current.tx_hash, nonce=current.nonce)
            moved = [rows.mark(cursor, each, "lost") for each in sent]
            return any(moved)
        if current.state == "broadcast" and not current.late:
            return False
        if current.state == "broadcast" and self._waits_in_vain(current) and self._replace(cursor, current):
            return True
        try:
            self.rpc.send_raw(current.signed)
        except NonceTooLow:  # mined already, perhaps by this very one: its receipt will tell
            logger.info("anchor_nonce_used", tx_hash=current.tx_hash)
        except Underpriced:
            return self._replace(cursor, current)
        failpoint("audit.after_anchor_broadcast")
        rows.mark_broadcast(cursor, current)
        return True

    def _used(self, current: Sent, final: int) -> bool:
        """Whether its nonce is used for good."""
        used = self.rpc.final_nonce(self.signer.address, final, self.chain.quorum.nodes)
        return used is not None and used > current.nonce

    def _waits_in_vain(self, current: Sent) -> bool:
        """The fee that it offers has gone; or it has long been its sender's next, and nobody mines it."""
        if self.rpc.fees().base_wei > current.max_fee_wei:
            return True
        return current.old and self.rpc.nonce(self.signer.address, "latest") == current.nonce

    def _replace(self, cursor: Cursor, current: Sent) -> bool:
        """The same head at the same nonce with a fee that the node takes; it goes out with the next step. False where that is too dear."""
        bid = higher_bid(current.bid, self.rpc.fees(), self.chain.max_fee_wei)
        if bid is None:
            logger.warning("not_replaced", tx_hash=current.tx_hash, max_fee_gwei=self.chain.max_fee_gwei)
            return False
        anchor = rows.newest(cursor, self.chain.chain_id, self.signer.address)
        assert anchor is not None and anchor.nonce == current.nonce
        rows.store(cursor, self._signed(anchor.head, current.nonce, bid))
        rows.mark(cursor, current, "replaced")
        return True


def _covered(newest: Anchor | None, log_id: str) -> int:
    """How many events of this log the sender's last anchor covers; none, where it was lost, or is of a log that was closed."""
    return newest.head.size if newest and newest.state != "lost" and newest.head.log_id == log_id else 0


def goes_on(cursor: Cursor, first: Head, second: Head) -> None:
    """A log that does not go on from what was anchored is never anchored, but for one that began when that was closed. Raises LogBroken."""
    if first.log_id != second.log_id and closing.leads_to(cursor, first.log_id, second.log_id):
        return
    if first.log_id != second.log_id:
        raise log.LogBroken(
            f"the last anchor is of log {first.log_id}, this one is {second.log_id}; run `payriver verify`"
        )
    try:
        path = merkle.consistency(first.size, second.size, log.Hashes(cursor))
        same = roots_by_consistency(first.size, second.size, first.root, path) == (first.root, second.root)
    except Refused:
        same = False
    if not same:
        raise log.LogBroken(
            f"the log of {second.size} events does not go on from the anchored one of {first.size}: it was rewritten;"
            " nothing is anchored, run `payriver verify`"
        )


def final_number(rpc: Rpc, chain: ChainSettings) -> int:
    """The height of the newest block that is final, as the chain file says what is, to most of the nodes. Raises Unreachable."""
    finality = chain.finality
    number = rpc.height("latest" if isinstance(finality, ByDepth) else finality.tag, chain.quorum.nodes)
    if number is None:
        raise Unreachable("the node names no final block yet; try again")
    return max(0, number - (finality.depth if isinstance(finality, ByDepth) else 0))
