"""The card network's side of payments in memory: all that it may ask, post, take back and dispute, in any order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from schemas.messages import account_commands, payment_commands
from schemas.messages import payment_adjustment_commands as adjusting
from streams.domain import ids
from tests.given import CARD, CUSTOMER
from tests.payments_in_memory import WHICH, Payments


class Network(Payments):
    """Each rule is one message of the network's, or one word of a person's."""

    @rule(cents=st.integers(0, 6_000))
    def the_network_asks(self, cents: int) -> None:
        payment_id = ids.network_payment_id(f"swipe-{len(self.managed)}")
        deadline = self.streams.now + timedelta(seconds=2)
        order = payment_commands.RequestPayment(
            payment_id=payment_id, account_id=CUSTOMER, card_token=CARD, amount_minor=cents, currency="EUR", deadline=deadline
        )  # fmt: skip
        self.do(order)

    @rule(which=WHICH, cents=st.none() | st.integers(1, 3_000))
    def the_network_reverses(self, which: int, cents: int | None) -> None:
        self.later(which, payment_commands.ReversePayment, reversal_id=f"r{which}-{cents}", amount_minor=cents)

    @rule(which=WHICH, cents=st.integers(1, 6_000), final=st.booleans())
    def the_network_posts(self, which: int, cents: int, final: bool) -> None:
        named = {"presentment_id": f"p{which}", "currency": "EUR", "final": final}
        self.later(which, payment_commands.CapturePayment, amount_minor=cents, **named)

    @rule(which=WHICH, cents=st.integers(1, 3_000))
    def the_network_asks_for_more(self, which: int, cents: int) -> None:
        named = {"increment_id": f"i{which}-{cents}", "currency": "EUR"}
        self.later(which, adjusting.IncrementPayment, amount_minor=cents, **named)

    @rule(which=WHICH, cents=st.integers(1, 3_000))
    def the_network_approves_in_our_stead(self, which: int, cents: int) -> None:
        named = {"advice_id": "a1", "card_token": CARD, "currency": "EUR"}
        self.later(which, adjusting.AdvisePayment, amount_minor=cents, **named)

    @rule(cents=st.integers(1, 3_000), refund=st.booleans())
    def the_network_posts_what_nobody_asked_about(self, cents: int, refund: bool) -> None:
        payment_id = ids.network_payment_id(f"swipe-{len(self.managed)}")
        told: dict[str, Any] = {
            "payment_id": payment_id,
            "account_id": CUSTOMER,
            "card_token": CARD,
            "amount_minor": cents,
            "currency": "EUR",
        }
        self.do(
            adjusting.RecordRefund(**told, refund_id="f0")
            if refund
            else adjusting.RecordPresentment(**told, presentment_id="p0")
        )

    @rule(which=WHICH, place=st.integers(0, 3))
    def the_network_takes_a_presentment_back(self, which: int, place: int) -> None:
        self.later(which, adjusting.ReverseCapture, presentment_id=f"p{place}", reversal_id=f"cr{place}-{which}")

    @rule(which=WHICH, place=st.integers(0, 3), cents=st.integers(1, 3_000))
    def the_merchant_gives_back(self, which: int, place: int, cents: int) -> None:
        self.later(which, adjusting.RefundPayment, refund_id=f"f{place}", amount_minor=cents, currency="EUR")

    @rule(which=WHICH, place=st.integers(0, 3))
    def a_refund_is_taken_back(self, which: int, place: int) -> None:
        self.later(which, adjusting.ReverseRefund, refund_id=f"f{place}", reversal_id=f"fr{place}-{which}")

    @rule(which=WHICH, cents=st.integers(1, 3_000), outcome=st.sampled_from((None, "won", "lost")))
    def the_holder_disputes(self, which: int, cents: int, outcome: str | None) -> None:
        named = {"dispute_id": f"d{which}", "currency": "EUR", "reason": "fraud"}
        self.later(which, adjusting.OpenDispute, amount_minor=cents, **named)
        if outcome is not None:
            self.later(which, adjusting.ResolveDispute, dispute_id=f"d{which}", outcome=outcome)

    @rule(which=WHICH, order=st.sampled_from((adjusting.CollectReceivable, adjusting.WriteOffReceivable)))
    def a_person_sees_to_what_is_owed(self, which: int, order: Any) -> None:
        self.later(which, order, actor="a person")

    @rule(frozen=st.booleans())
    def the_card_changes(self, frozen: bool) -> None:
        order = account_commands.FreezeCard if frozen else account_commands.UnfreezeCard
        self.do(order(account_id=CUSTOMER, reason="holder"))
