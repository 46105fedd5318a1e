"""What the chain brings into a small payment world: legs on their way, transfers seen, unseen, final, and of history."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from schemas.definition import Raw
from schemas.messages import payment_commands
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.states import payment
from tests.happenings import CENT, Happenings


class ChainHappens(Happenings):
    """A method for each action of the chain, and of the submitter."""

    # --- legs -----------------------------------------------------------------------------------------------------------

    def _legs(self, *states: str) -> list[tuple[UUID, payment.Leg]]:
        found = [(each, leg) for each in self.payments for leg in self.states[each].legs.values()]
        return [(payment_id, leg) for payment_id, leg in found if leg.state in states]

    def _submit(self, which: int, cents: int) -> None:
        if found := self._pick(self._legs("planned", "submitted"), which):
            payment_id, leg = found
            self.do(payment_commands.RecordLegSubmitted(payment_id=payment_id, leg_id=leg.leg_id, tx_hash=f"0x{cents}"))

    def _revert(self, which: int, cents: int) -> None:
        if found := self._pick(self._legs("submitted"), which):
            payment_id, leg = found
            self.do(
                payment_commands.RecordLegReverted(
                    payment_id=payment_id, leg_id=leg.leg_id, tx_hash=f"0x{cents}", reason="reverted"
                )
            )

    def _end_unpaid(self, which: int, _: int) -> None:
        """A spend is invalidated finally; a refund's nonce went into another transaction. What had vanished never comes back."""
        if found := self._pick(self._legs("planned", "submitted", "unseen"), which):
            payment_id, leg = found
            carried = [key for key, (moved, _) in self.transfers.items() if moved.leg_id == leg.leg_id]
            transfer_id = carried[0][1] if carried else ids.leg_transfer_id(100, leg.leg_id)
            if leg.kind == "spend":
                told = (payment_id, self.customer, leg.leg_id, transfer_id, "0xinvalidate", self._block())
                self.do(facts.FinalizeInvalidation(*told))
            else:
                self.do(
                    payment_commands.EndLegUnpaid(
                        payment_id=payment_id,
                        account_id=self.customer,
                        leg_id=leg.leg_id,
                        amount_raw=Raw(leg.amount_raw),
                        reason="nonce_used",
                    )
                )
                self.do(facts.LoseTransfer(self.settlement, transfer_id, leg.leg_id))
            for key in [each for each in self.transfers if each[1] == transfer_id]:
                self.transfers[key] = self.transfers[key][0], "ended"

    def _give_up(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(payment_commands.GiveUpSpend(payment_id=payment_id, reason="patience"))

    def _plan_refund(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(payment_commands.PlanRefund(payment_id=payment_id, account_id=self.customer, reason="declined"))

    def _refund_again(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(payment_commands.RefundAgain(payment_id=payment_id, reason="a person's"))

    def _close_spend(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            said = {"because": "a person's", "closed_by": "ada"}
            self.do(payment_commands.CloseSpend(payment_id=payment_id, account_id=self.customer, **said))

    def _see_leg(self, which: int, _: int) -> None:
        if found := self._pick(self._legs("planned", "submitted"), which):
            payment_id, leg = found
            self._move("out" if leg.kind == "spend" else "in", leg.kind, leg.amount_raw, payment_id, leg)

    # --- the chain ------------------------------------------------------------------------------------------------------

    def _deposit(self, _: int, cents: int) -> None:
        self._move("in", "deposit", cents * CENT + 7)

    def _withdrawal(self, _: int, cents: int) -> None:
        self._move("out", "withdrawal", cents * CENT)

    def _foreign_spend(self, _: int, cents: int) -> None:
        transfer_id = self._transfer_id()
        payment_id = ids.chain_payment_id(transfer_id)
        self.payments.append(payment_id)
        leg = payment.Leg(ids.leg_id(payment_id, "spend"), "spend", "seen", cents * CENT)
        self._move("out", "spend", cents * CENT, payment_id, leg)

    def _move(
        self, direction: str, kind: str, amount: int, payment_id: UUID | None = None, leg: payment.Leg | None = None
    ) -> None:
        """A transfer of the customer's and, for a leg, the same transfer as the settlement wallet sees it."""
        transfer_id, block = self._transfer_id(), self._block()
        there, back = ("0xSettlement", "0xSafe") if leg else ("0xSomebody", "0xSafe")
        legs = (leg.leg_id, leg.kind) if leg else (None, None)
        sides = [(self.customer, direction, kind, there, legs)]
        if leg:
            mirrored = "in" if direction == "out" else "out"
            sides.append((self.settlement, mirrored, f"settlement_{mirrored}", back, (None, None)))
        for account_id, way, of_kind, other, (leg_id, leg_kind) in sides:
            transfer = facts.Transfer(
                *(account_id, transfer_id, way, of_kind, other, amount, f"0x{len(self.events)}", 0, block),
                *(payment_id, leg_id, leg_kind),
            )
            self.do(facts.SeeTransfer(transfer))
            self.transfers[account_id, transfer_id] = transfer, "seen"

    def _of_history(self, which: int, cents: int) -> None:
        """A deposit or a withdrawal that was final before anybody read it."""
        way, kind = ("in", "deposit") if which % 2 else ("out", "withdrawal")
        transfer = facts.Transfer(
            *(self.customer, self._transfer_id(), way, kind, "0xSomebody", cents * CENT, f"0x{len(self.events)}", 0),
            self._block(),
        )
        self.do(facts.FinalizeTransfer(transfer, at_first_sight=True))

    def _unsee(self, which: int, _: int) -> None:
        self._settle(which, "seen", facts.UnseeTransfer, "unseen")

    def _see_again(self, which: int, _: int) -> None:
        self._settle(which, "unseen", lambda transfer: facts.SeeTransfer(transfer, again=True), "seen")

    def _finalize(self, which: int, _: int) -> None:
        self._settle(which, "seen", facts.FinalizeTransfer, "final")

    def _settle(self, which: int, state: str, fact: Any, then: str) -> None:
        ready = [key for key, (_, where) in self.transfers.items() if where == state]
        if key := self._pick(ready, which):
            transfer, _ = self.transfers[key]
            self.do(fact(transfer))
            self.transfers[key] = transfer, then
