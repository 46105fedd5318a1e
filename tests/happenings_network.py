"""What the card network brings into a small payment world: requests, answers, presentments, refunds and disputes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from schemas.messages import payment_adjustment_commands as adjusting
from schemas.messages import payment_commands
from streams.domain import ids
from tests.happenings import Happenings


class NetworkHappens(Happenings):
    """A method for each action of the network, and of the sagas that answer it."""

    def _request(self, _: int, cents: int) -> None:
        payment_id = ids.network_payment_id(f"{self.name}-{len(self.payments)}")
        self.payments.append(payment_id)
        card = f"card-{self.name}"
        deadline = self.now + timedelta(days=1)
        self.do(
            payment_commands.RequestPayment(
                payment_id=payment_id,
                account_id=self.customer,
                card_token=card,
                amount_minor=cents,
                currency="EUR",
                deadline=deadline,
            )
        )

    def _verify(self, which: int, _: int) -> None:
        self._request(which, 0)

    def _hold(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(payment_commands.HoldFunds(payment_id=payment_id, account_id=self.customer))

    def _screen(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(payment_commands.ScreenPayment(payment_id=payment_id, account_id=self.customer))

    def _authorize(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self._hold(which, 0)
            self._screen(which, 0)
            self.do(payment_commands.AuthorizePayment(payment_id=payment_id, account_id=self.customer))

    def _decline(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(
                payment_commands.DeclinePayment(payment_id=payment_id, account_id=self.customer, reason="card_frozen")
            )

    def _capture(self, which: int, cents: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(
                payment_commands.CapturePayment(
                    payment_id=payment_id,
                    presentment_id=f"p{cents}",
                    amount_minor=cents,
                    currency="EUR",
                    account_id=self.customer,
                )
            )

    def _later(self, which: int, order: Any, **told: Any) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(order(payment_id=payment_id, account_id=self.customer, **told))

    def _capture_part(self, which: int, cents: int) -> None:
        named = {"presentment_id": f"p{cents}", "currency": "EUR", "final": False}
        self._later(which, payment_commands.CapturePayment, amount_minor=cents, **named)

    def _reverse_part(self, which: int, cents: int) -> None:
        self._later(which, payment_commands.ReversePayment, reversal_id=f"r{cents}", amount_minor=cents)

    def _increment(self, which: int, cents: int) -> None:
        named = {"increment_id": f"i{cents}", "currency": "EUR"}
        self._later(which, adjusting.IncrementPayment, amount_minor=cents + 1, **named)

    def _advise(self, which: int, cents: int) -> None:
        named = {"advice_id": "a", "card_token": f"card-{self.name}", "currency": "EUR"}
        self._later(which, adjusting.AdvisePayment, amount_minor=cents + 1, **named)

    def _opens(self, order: Any, cents: int, **named: str) -> None:
        payment_id = ids.network_payment_id(f"{self.name}-{len(self.payments)}")
        self.payments.append(payment_id)
        told = {"payment_id": payment_id, "account_id": self.customer, "card_token": f"card-{self.name}"}
        self.do(order(**told, amount_minor=cents + 1, currency="EUR", **named))

    def _present(self, _: int, cents: int) -> None:
        self._opens(adjusting.RecordPresentment, cents, presentment_id="p")

    def _unlinked_refund(self, _: int, cents: int) -> None:
        self._opens(adjusting.RecordRefund, cents, refund_id="f")

    def _refund(self, which: int, cents: int) -> None:
        self._later(which, adjusting.RefundPayment, refund_id=f"f{cents % 3}", amount_minor=cents, currency="EUR")

    def _undo_refund(self, which: int, cents: int) -> None:
        self._later(which, adjusting.ReverseRefund, refund_id=f"f{cents % 3}", reversal_id=f"fr{cents}")

    def _undo_capture(self, which: int, cents: int) -> None:
        if payment_id := self._pick(self.payments, which):
            posted = self._pick(list(self.states[payment_id].posted), cents) or "nothing"
            self._later(which, adjusting.ReverseCapture, presentment_id=posted, reversal_id=f"cr{cents}")

    def _dispute(self, which: int, cents: int) -> None:
        named = {"dispute_id": "d", "currency": "EUR", "reason": "fraud"}
        self._later(which, adjusting.OpenDispute, amount_minor=cents, **named)

    def _win(self, which: int, _: int) -> None:
        self._later(which, adjusting.ResolveDispute, dispute_id="d", outcome="won")

    def _lose(self, which: int, _: int) -> None:
        self._later(which, adjusting.ResolveDispute, dispute_id="d", outcome="lost")

    def _collect(self, which: int, _: int) -> None:
        self._later(which, adjusting.CollectReceivable, actor="a person")

    def _write_off(self, which: int, _: int) -> None:
        self._later(which, adjusting.WriteOffReceivable, actor="a person")

    def _reverse(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(
                payment_commands.ReversePayment(payment_id=payment_id, account_id=self.customer, reversal_id="reversal")
            )

    def _expire(self, which: int, _: int) -> None:
        if payment_id := self._pick(self.payments, which):
            self.do(payment_commands.ExpirePayment(payment_id=payment_id))
