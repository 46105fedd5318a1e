"""The chain's side of payments in memory: what goes out, is mined, vanishes, comes back and becomes final, in any order."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from schemas.definition import Raw
from schemas.messages import payment_commands
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.states.payment import Leg, Payment
from tests.given import CENT, CUSTOMER, SETTLEMENT, block
from tests.payments_in_memory import WHICH, Payments


class Chain(Payments):
    """Each rule is one block, one reorg, or one transaction of ours."""

    # -- the submitter

    def submittable(self) -> list[tuple[Payment, Leg]]:
        legs = self.leg("spend", "planned", "submitted", "unseen") + self.leg(
            "refund", "planned", "submitted", "unseen"
        )
        return [(p, leg) for p, leg in legs if leg.leg_id in self.sent]

    @rule(which=WHICH, reverts=st.booleans())
    def a_transaction_goes_out(self, which: int, reverts: bool) -> None:
        if found := self.pick(self.submittable(), which):
            payment, leg = found
            named = {"payment_id": payment.payment_id, "leg_id": leg.leg_id, "tx_hash": f"0x{leg.leg_id.hex}{which}"}
            self.do(payment_commands.RecordLegSubmitted(**named))
            if reverts:
                self.do(payment_commands.RecordLegReverted(**named, reason="reverted"))

    @rule(which=WHICH)
    def a_refunds_nonce_is_used_by_another(self, which: int) -> None:
        if found := self.pick(self.leg("refund", "planned", "submitted", "seen", "unseen", "settled"), which):
            payment, leg = found
            order = payment_commands.EndLegUnpaid(
                payment_id=payment.payment_id, account_id=CUSTOMER, leg_id=leg.leg_id, amount_raw=Raw(leg.amount_raw),
                reason="nonce_used",
            )  # fmt: skip
            self.do(order)
            transfer_id = ids.leg_transfer_id(100, leg.leg_id)
            self.do(facts.LoseTransfer(SETTLEMENT, transfer_id, leg.leg_id))
            self.never_again(transfer_id)

    @rule(which=WHICH)
    def a_person_gives_a_spend_up(self, which: int) -> None:
        if payment_id := self.pick(list(self.managed), which):
            self.do(payment_commands.GiveUpSpend(payment_id=payment_id, reason="the relayer is broken"))

    @rule(which=WHICH)
    def a_person_has_a_refund_paid_after_all(self, which: int) -> None:
        if payment_id := self.pick(list(self.managed), which):
            self.do(payment_commands.RefundAgain(payment_id=payment_id, reason="the settlement key has gas again"))

    @rule(which=WHICH)
    def a_person_closes_a_spend_that_nobody_saw_again(self, which: int) -> None:
        if payment_id := self.pick(list(self.managed), which):
            self.do(
                payment_commands.CloseSpend(payment_id=payment_id, account_id=CUSTOMER, because="why", closed_by="ada")
            )
            closed = {leg.foreign_id for leg in self.streams.states[payment_id].legs.values() if leg.closed}
            for key in [each for each in self.of_state("unseen") if each[1] in closed]:
                self.moved[key] = self.moved[key][0], "closed"

    @rule(which=WHICH)
    def an_invalidation_is_final(self, which: int) -> None:
        taken_back = [
            (p, leg)
            for p, leg in self.leg("spend", "planned", "submitted", "unseen", "seen", "settled")
            if leg.leg_id in self.taken_back
        ]
        if found := self.pick(taken_back, which):
            payment, leg = found
            transfer_id = ids.leg_transfer_id(100, leg.leg_id)
            told = (payment.payment_id, CUSTOMER, leg.leg_id, transfer_id, "0xinvalidate", self.next_block())
            self.do(facts.FinalizeInvalidation(*told))
            self.never_again(transfer_id)

    def never_again(self, transfer_id: UUID) -> None:
        """What had vanished from its block is in none for ever."""
        for key in [each for each in self.of_state("unseen") if each[1] == transfer_id]:
            self.moved[key] = self.moved[key][0], "ended"

    # -- the chain

    def see(self, transfer: facts.Transfer, again: bool = False) -> None:
        self.do(facts.SeeTransfer(transfer, again))
        self.moved[transfer.account_id, transfer.transfer_id] = transfer, "seen"

    def next_block(self) -> facts.Block:
        self.height += 1
        made = block(self.height)
        self.streams.chain_time = max(self.streams.chain_time, made.time)
        return made

    def move(self, payment_id: UUID, leg_id: UUID, kind: str, amount: int, transfer_id: UUID, tx_hash: str) -> None:
        """The two sides of a spend or a refund, in one block."""
        there = ("out", "in") if kind == "spend" else ("in", "out")
        where = self.next_block()
        again = (CUSTOMER, transfer_id) in self.moved
        mine = facts.Transfer(
            CUSTOMER, transfer_id, there[0], kind, "0xSettlement", amount, tx_hash, 1, where, payment_id, leg_id, kind
        )
        theirs = facts.Transfer(
            SETTLEMENT, transfer_id, there[1], f"settlement_{there[1]}", "0xSafe", amount, tx_hash, 1, where
        )
        for side in (mine, theirs):
            self.see(side, again)

    @rule(which=WHICH, attempt=st.integers(0, 2))
    def our_leg_is_mined(self, which: int, attempt: int) -> None:
        if found := self.pick(self.submittable(), which):
            payment, leg = found
            transfer_id = ids.leg_transfer_id(100, leg.leg_id)
            tx_hash = f"0x{leg.leg_id.hex}{attempt}"
            self.move(payment.payment_id, leg.leg_id, leg.kind, leg.amount_raw, transfer_id, tx_hash)

    @rule(cents=st.integers(1, 6_000))
    def a_foreign_spend_is_mined(self, cents: int) -> None:
        tx_hash = f"0xforeign{self.height}"
        transfer_id = ids.transfer_id(100, tx_hash, "0xtoken", 0)
        payment_id = ids.chain_payment_id(transfer_id)
        self.move(payment_id, ids.leg_id(payment_id, "spend"), "spend", cents * CENT, transfer_id, tx_hash)

    @rule(cents=st.integers(1, 9_000), out=st.booleans())
    def money_comes_or_goes(self, cents: int, out: bool) -> None:
        tx_hash = f"0xmoney{self.height}"
        transfer_id = ids.transfer_id(100, tx_hash, "0xtoken", 0)
        way, kind = ("out", "withdrawal") if out else ("in", "deposit")
        self.see(
            facts.Transfer(CUSTOMER, transfer_id, way, kind, "0xSomebody", cents * CENT, tx_hash, 1, self.next_block())
        )

    def of_state(self, state: str) -> list[tuple[UUID, UUID]]:
        return [key for key, (_, where) in self.moved.items() if where == state]

    @rule(newest=st.integers(1, 5))
    def a_reorg_drops_the_newest(self, newest: int) -> None:
        heights = sorted({self.moved[key][0].block.number for key in self.of_state("seen")})[-newest:]
        for key in reversed(self.of_state("seen")):
            transfer, _ = self.moved[key]
            if transfer.block.number in heights:
                self.do(facts.UnseeTransfer(transfer))
                self.moved[key] = transfer, "unseen"

    @rule(which=WHICH)
    def what_vanished_is_mined_again(self, which: int) -> None:
        vanished = [*self.of_state("unseen"), *self.of_state("closed")]
        if key := self.pick(vanished, which):
            where = self.next_block()
            for each in [k for k in vanished if k[1] == key[1]]:
                self.see(replace(self.moved[each][0], block=where), again=True)

    @rule(oldest=st.integers(1, 5))
    def the_oldest_becomes_final(self, oldest: int) -> None:
        heights = sorted({self.moved[key][0].block.number for key in self.of_state("seen")})[:oldest]
        for key in self.of_state("seen"):
            transfer, _ = self.moved[key]
            if transfer.block.number in heights:
                self.do(facts.FinalizeTransfer(transfer))
                self.moved[key] = transfer, "final"
