"""Carries intents to the chain: sign, store, broadcast, watch, and send again what was lost. Killed anywhere, it goes on.

A spend may be carried by any number of transactions: its salt lets the contract take it once. A refund has one key and one
nonce for ever: whatever is sent for it uses that nonce, so the chain takes it once. A spend that is given up is taken back by its
signer; whether it is, and not mined before, the listener says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from uuid import UUID

import structlog
from sqlalchemy import Engine

from connectors.chain.node.errors import NoFunds, NonceTooLow, RpcRefused, RpcUnreachable, Underpriced
from connectors.chain.node.rpc import Rpc
from connectors.chain.node.values import Receipt
from connectors.chain.sending import nonces
from connectors.chain.sending import transactions as rows
from connectors.chain.sending.carrying import carry
from connectors.chain.sending.fees import Bid, first_bid, higher_bid
from connectors.chain.sending.keystore import Keyring
from connectors.chain.sending.purses import Purses
from connectors.chain.sending.remote_signer import NotSigned
from connectors.chain.sending.reverts import reason_of
from connectors.chain.sending.signing import order_of
from connectors.chain.sending.telling import ended, reverted, submitted, tell
from connectors.chain.sending.transactions import Intent, Sent, state_of
from connectors.chain.settings import ChainSettings
from infra.database import Cursor, transaction
from infra.failpoints import failpoint
from infra.transient import is_transient
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.chain.facts import LoseTransfer

log = structlog.get_logger(__name__)
TICK_SECONDS = 0.5  # so often it looks by itself, for receipts and for what another one left
PATIENCE_SECONDS = 15  # then a transaction is broadcast again, and its fee raised where the node asks for more
RETRY_SECONDS = 5  # after a revert, before another transaction carries the leg
BATCH = 50
SENDING_SECONDS = 5  # then what went out is marked, well before W would end a transaction that waits for a slow node
LOOK_SECONDS = 5  # so often at least receipts are asked for, also while the chain stands still


@dataclass
class Submitter:
    """The submitter's loop. Several may run: rows are claimed, nonces are counted under a lock. `news`: look now.

    `_resting`: legs that were not signed, and keys whose signer is silent, until when they are left alone.
    """

    database: Engine
    rpc: Rpc
    chain: ChainSettings
    handler: CommandHandler
    keys: Keyring
    news: Event = field(default_factory=Event)
    purses: Purses = field(default_factory=Purses)
    _resting: dict[UUID | str, float] = field(default_factory=dict)
    _watch_again: float = 0.0
    _looked: tuple[str | None, int, frozenset[str]] = (None, -1, frozenset())
    _look_again: float = 0.0

    def __call__(self, stop: Event) -> None:
        """Run until `stop` is set."""
        while not stop.is_set():
            try:
                busy = self.step()
            except Exception as error:
                if not (is_transient(error) or isinstance(error, RpcRefused)):
                    raise
                log.warning("submitter_waits", error=str(error))
                busy = False
            if not busy:
                self.news.wait(TICK_SECONDS)
                self.news.clear()

    def step(self) -> bool:
        """Once through: sign what is planned, broadcast what is signed, see what became of it. True if anything moved."""
        signed = self._sign()
        sent = self._broadcast()
        watched = self._watch()
        return bool(signed or sent or watched)

    # -- signing: the nonce, the bytes and their row in one commit, before anybody hears of them

    def _sign(self) -> int:
        with transaction(self.database) as cursor:
            self._resting = {each: until for each, until in self._resting.items() if until > monotonic()}
            legs = [each for each in self._resting if isinstance(each, UUID)]
            empty = self.purses.empty(self.rpc, [each.address for each in self.keys.relayers], self.chain.max_fee_wei)
            claim = (self.chain.chain_id, self.keys.signers, BATCH, RETRY_SECONDS, legs, empty)
            intents = rows.claim_intents(cursor, *claim)
            if not intents:
                return 0
            bid = first_bid(self.rpc.fees(), self.chain.max_fee_wei)  # the same for the whole batch
            signed = [intent for intent in intents if self._sign_one(cursor, intent, bid, empty)]
            failpoint("submitter.before_signed_commit")
        failpoint("submitter.after_signed_commit")
        return len(signed)

    def _sign_one(self, cursor: Cursor, intent: Intent, bid: Bid, empty: Collection[str]) -> bool:
        """Whether it was signed. A signer that refuses, refuses this intent; one that is silent is left alone for a while. Others go on."""
        sender = self.keys.sender(intent.kind, intent.leg_id, empty)
        again = monotonic() + RETRY_SECONDS
        if {intent.signer, sender.address} & self._resting.keys():
            self._resting[intent.leg_id] = again
            return False
        place = (self.chain.chain_id, sender.address)
        new = nonces.next_nonce(cursor, *place, lambda: self.rpc.nonce(sender.address, "latest"))
        several = len(self.keys.relayers) > 1  # one alone has nobody who carries what it could not pay for
        old, nonce = (nonces.idle(cursor, *place) if several else None) or (None, new)
        try:
            signed = carry(intent, self.keys, sender, self.chain.chain_id, nonce, bid)
        except NotSigned as error:
            log.warning("not_signed", leg_id=str(intent.leg_id), error=str(error))
            self._resting |= {intent.leg_id: again} | ({error.address: again} if error.silent else {})
            return False
        if old is None:
            nonces.count_nonce(cursor, *place, nonce)
        else:
            rows.mark_replaced(cursor, old, "signed")
        rows.store(cursor, intent.leg_id, signed)
        return True

    # -- broadcasting: the same bytes as often as it takes

    def _broadcast(self) -> int:
        """What waits is locked until it is marked, so that two submitters share the work."""
        with transaction(self.database) as cursor:
            waiting = rows.to_broadcast(cursor, self.chain.chain_id, BATCH, PATIENCE_SECONDS)
            gone, replaced = self._send_all(cursor, waiting)
            rows.mark_broadcast(cursor, gone)
            tell(cursor, self.handler, "submitted", [(sent, submitted(sent)) for sent in gone])
            if gone:
                failpoint("submitter.after_told")
        if gone:
            failpoint("submitter.after_broadcast_commit")
        return len(gone) + replaced

    def _send_all(self, cursor: Cursor, waiting: Sequence[Sent]) -> tuple[list[Sent], int]:
        """Those that went out, and how many were replaced. What the node refuses holds up its own sender's later ones, and nobody else's."""
        gone: list[Sent] = []
        replaced = 0
        refused: set[str] = set()
        until = monotonic() + SENDING_SECONDS
        for sent in waiting:
            if monotonic() > until:
                break
            if sent.sender in refused:
                continue
            try:
                if self._send(cursor, sent):
                    gone.append(sent)
                else:
                    replaced += 1
            except RpcRefused as error:
                log.warning("transaction_refused", tx_hash=sent.tx_hash, sender=sent.sender, error=str(error))
                refused.add(sent.sender)
                if isinstance(error, NoFunds):
                    self.purses.refuse(sent.sender)
            except RpcUnreachable:
                if not gone:
                    raise
                break
            failpoint("submitter.after_broadcast")
        return gone, replaced

    def _send(self, cursor: Cursor, sent: Sent) -> bool:
        """Whether it is with the node now; if not, another one stands in its place, and waits for its turn."""
        if sent.state == "broadcast" and self._waits_in_vain(sent) and self._replace(cursor, sent):
            return False
        try:
            self.rpc.send_raw(sent.signed)
        except NonceTooLow:  # mined already, perhaps by this very one: watched
            log.info("nonce_used", tx_hash=sent.tx_hash, nonce=sent.nonce)
        except Underpriced:
            if not self._replace(cursor, sent):
                raise
            return False
        return True

    def _waits_in_vain(self, sent: Sent) -> bool:
        """The fee that it offers has gone; or it has long been its sender's next, and nobody mines it."""
        if self.rpc.fees().base_wei > sent.max_fee_wei:
            return True
        return sent.old and self.rpc.nonce(sent.sender, "latest") == sent.nonce

    def _replace(self, cursor: Cursor, sent: Sent) -> bool:
        """The same call at the same nonce with a fee that the node takes. False where that is too dear, or the key is not here."""
        bid, sender = higher_bid(sent.bid, self.rpc.fees(), self.chain.max_fee_wei), self.keys.by_address(sent.sender)
        if bid is None or sender is None:
            log.warning("not_replaced", tx_hash=sent.tx_hash, max_fee_gwei=self.chain.max_fee_gwei, sender=sent.sender)
            return False
        intent = rows.intent(cursor, sent.leg_id)
        try:
            signed = carry(intent, self.keys, sender, self.chain.chain_id, sent.nonce, bid)
        except NotSigned as error:
            log.warning("not_replaced", tx_hash=sent.tx_hash, error=str(error))
            return False
        rows.store(cursor, intent.leg_id, signed)
        rows.mark_replaced(cursor, sent.tx_hash, sent.state)
        return True

    # -- watching: a revert has no log, only a receipt

    def _watch(self) -> int:
        """What the receipts say. They say nothing new while the chain stands where it stood, however often we are woken."""
        with transaction(self.database) as cursor:
            seen, final = rows.chain_view(cursor, self.chain.chain_id)
            if (seen, final) == self._looked[:2] and monotonic() < self._watch_again:
                return 0
            watched = rows.to_watch(cursor, self.chain.chain_id, final, 4 * BATCH)
        self._watch_again = monotonic() + TICK_SECONDS
        looked = seen, final, frozenset(each.tx_hash for each in watched)
        if not watched or (looked == self._looked and monotonic() < self._look_again):
            self._looked = looked
            return 0
        receipts = self.rpc.receipts([each.tx_hash for each in watched])
        moved = [
            (sent, receipt, state, self._reason(sent, receipt))
            for sent, receipt in zip(watched, receipts, strict=True)
            if (state := state_of(receipt, final)) != sent.state
        ]
        if moved:
            with transaction(self.database) as cursor:
                for each in moved:
                    self._settle(cursor, *each)
                failpoint("submitter.before_watch_commit")
            failpoint("submitter.after_watch_commit")
        waiting = [sent for sent, receipt in zip(watched, receipts, strict=True) if receipt is None]
        lost = self._give_up(waiting, final) if waiting else 0
        self._looked, self._look_again = looked, monotonic() + LOOK_SECONDS
        return len(moved) + lost

    def _give_up(self, waiting: Sequence[Sent], final: int) -> int:
        """Those that can never be mined any more: at the final block their sender's nonce is past theirs, as enough nodes say."""
        senders, nodes = {each.sender for each in waiting}, self.chain.quorum.nodes
        used = {sender: self.rpc.final_nonce(sender, final, nodes) or 0 for sender in senders}
        gone = [each for each in waiting if each.nonce < used[each.sender]]
        for sent in gone:
            with transaction(self.database) as cursor:
                nonces.pass_over(cursor, self.chain.chain_id, sent.sender, used[sent.sender])
                siblings = rows.at_nonce(cursor, self.chain.chain_id, sent.sender, sent.nonce)
                receipts = self.rpc.receipts([each.tx_hash for each in siblings])
                self._lose(cursor, sent, dict(zip(siblings, receipts, strict=True)), final)
        return len(gone)

    def _lose(self, cursor: Cursor, sent: Sent, at_nonce: Mapping[Sent, Receipt | None], final: int) -> None:
        """Another of ours was mined in its place, or a stranger's. Without that the refund can never be paid; a spend goes out anew."""
        mined = next(((each, receipt) for each, receipt in at_nonce.items() if receipt is not None), None)
        if mined is not None and mined[0].tx_hash == sent.tx_hash:
            return  # the node knows it after all
        if mined is None:
            if self._end_refund(cursor, sent):
                rows.mark(cursor, sent, "lost", None)
            return
        rows.mark_replaced(cursor, sent.tx_hash, sent.state)
        other, receipt = mined
        if other.state in ("replaced", "signed"):
            self._settle(cursor, other, receipt, state_of(receipt, final), self._reason(other, receipt))

    def _settle(self, cursor: Cursor, sent: Sent, receipt: Receipt | None, state: str, reason: str | None) -> None:
        """What one look at a transaction changes. A receipt that vanished was in a block that a reorg dropped: send again."""
        block_number = receipt.block_number if receipt else None
        rows.mark(cursor, sent, "signed" if receipt is None else state, block_number, reason)
        if state in ("reverted", "reverted_final"):
            tell(cursor, self.handler, "reverted", [(sent, reverted(sent, reason))])
        if state == "reverted_final":
            self._end_refund(cursor, sent)
        if state == "final" and sent.kind == "invalidation":
            rows.finish_intent(cursor, sent.leg_id)

    def _reason(self, sent: Sent, receipt: Receipt | None) -> str | None:
        """Why it failed, asked once: later the node may have forgotten what stood in that block."""
        if receipt is None or receipt.succeeded or sent.state == "reverted":
            return None
        return reason_of(self.rpc, sent.sender, order_of(sent.signed), receipt)

    def _end_refund(self, cursor: Cursor, sent: Sent) -> bool:
        """A refund whose one nonce is used up without it can never be paid any more; settlement has its money back, if it had left.

        False for one that the listener has seen in a block: the node that was asked has not come that far.
        """
        if sent.kind != "refund":
            return True
        if not rows.end_intent(cursor, sent.leg_id):
            return False
        tell(cursor, self.handler, "ended", [(sent, ended(sent))])
        settlement = rows.settlement_of(cursor, sent.account_id)
        if settlement is not None:
            transfer_id = ids.leg_transfer_id(self.chain.chain_id, sent.leg_id)
            tell(cursor, self.handler, "lost", [(sent, LoseTransfer(settlement, transfer_id, sent.leg_id))])
        return True
