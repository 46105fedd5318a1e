"""Payments, their account and their sagas together, in memory, in any order that network, chain and time can bring.

Orders and events wait in queues, each payment's in its order, as on the topics; a rule takes one step of one queue. At the
end everybody does what is theirs, and every path must have come to an end, or wait for a step outside that it can name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from schemas.definition import Message, Raw
from schemas.messages import account_commands, account_events, chain_commands, payment_commands
from schemas.messages import payment_adjusting as adjusting
from schemas.messages import payment_adjustments as adjusted
from streams.domain import facts, ids
from streams.domain.account import Account
from streams.domain.payment import Leg, Payment
from streams.sagas.authorization import DEADLINE, ENDS, EXPIRY, PATIENCE, react
from streams.sagas.rows import Due
from streams.sagas.saga import Saga
from streams.sagas.silence import because
from tests.given import CARD, CENT, CUSTOMER, SETTLEMENT, Streams, block, registration

OUTSIDE = {"unseen": "a foreign spend may be mined again, or never", "parked": "a person"}
WHICH = st.integers(0, 9)
UNSENT = (("spend", "planned"), ("spend", "submitted"))


@dataclass
class Managed:
    """One payment's saga, what it has not heard yet, and what it ordered that nobody decided yet."""

    saga: Saga
    unheard: deque[Message] = field(default_factory=deque)
    undecided: deque[Any] = field(default_factory=deque)
    timeouts: set[str] = field(default_factory=set)
    ordered: list[Any] = field(default_factory=list)
    books: Books = field(default_factory=lambda: Books())


@dataclass
class Books:
    """What the network and we have agreed on, kept apart from the payment's own arithmetic: cents, by what was sent and accepted."""

    open: int = 0
    captured: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    credited: dict[str, int] = field(default_factory=dict)

    @property
    def due(self) -> int:
        return self.open + sum(self.captured.values()) - sum(self.refunded.values()) - sum(self.credited.values())

    def take(self, order: Any, accepted: set[str], asked: int) -> None:
        """An order of the network's that led to these events."""
        match order:
            case payment_commands.AuthorizePayment() | adjusting.AdvisePayment() if "PaymentAuthorized" in accepted:
                self.open = getattr(order, "amount_minor", asked)
            case adjusting.IncrementPayment() if "PaymentIncremented" in accepted:
                self.open += order.amount_minor
            case payment_commands.ReversePayment() if "PaymentReversed" in accepted:
                self.open = 0
            case payment_commands.ReversePayment() if "PaymentPartlyReversed" in accepted:
                self.open -= self.open if order.amount_minor is None else order.amount_minor
            case payment_commands.ExpirePayment() if accepted:
                self.open = 0
            case payment_commands.CapturePayment() | adjusting.RecordPresentment() if "PaymentCaptured" in accepted:
                self.captured[order.presentment_id] = order.amount_minor
                self.open = 0 if getattr(order, "final", True) else max(0, self.open - order.amount_minor)
            case adjusting.ReverseCapture() if "CaptureReversed" in accepted:
                del self.captured[order.presentment_id]
            case adjusting.RefundPayment() | adjusting.RecordRefund() if "PaymentRefunded" in accepted:
                self.refunded[order.refund_id] = order.amount_minor
            case adjusting.ReverseRefund() if "RefundReversed" in accepted:
                del self.refunded[order.refund_id]
            case adjusting.OpenDispute() if "DisputeOpened" in accepted:
                self.credited[order.dispute_id] = order.amount_minor
            case adjusting.ResolveDispute() if "DisputeLost" in accepted:
                del self.credited[order.dispute_id]


class River(RuleBasedStateMachine):
    """The whole of it."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = Streams()
        self.streams.given(
            registration(),
            registration(
                account_id=SETTLEMENT, kind="settlement", wallet="0xSettlement", card_token=None, roles_module=None,
                opening_balance_raw=Raw(50_000 * CENT), allowance_balance_raw=Raw(0),
            ),
        )  # fmt: skip
        self.managed: dict[UUID, Managed] = {}
        self.sent: set[UUID] = set()
        self.taken_back: set[UUID] = set()
        self.moved: dict[tuple[UUID, UUID], tuple[facts.Transfer, str]] = {}
        self.height = 20

    # -- what everybody shares

    def do(self, order: Any) -> list[Message]:
        spendable = self.streams.customer.spendable_raw(self.streams.chain_time)
        events = self.streams.when(order)
        for event in events:
            if isinstance(event, account_events.FundsHeld) and event.cause == "approval":
                assert 0 < event.amount_raw <= spendable, "only what is spendable is set aside"
            if event.topic.startswith("payments"):
                self.managed.setdefault(event.key, Managed(Saga(event.key))).unheard.append(event)
        if managed := self.managed.get(getattr(order, "payment_id", None)):  # type: ignore[arg-type]
            payment = self.streams.states[order.payment_id]
            managed.books.take(order, {type(each).__name__ for each in events}, payment.amount_minor)
        return events

    def pick(self, these: Sequence[Any], which: int) -> Any:
        return these[which % len(these)] if these else None

    def step(self, managed: Managed, name: str, message: Any) -> None:
        before = managed.saga
        reaction = react(before, name, message)
        at = before.parked_in or before.state
        moved = reaction.saga.state != before.state or reaction.orders or reaction.start or reaction.cancel
        if not moved and before.parked_in is None:
            assert because(at, name), f"{name} in {at} does nothing, and nobody says why: {before}"
        managed.saga = reaction.saga
        managed.timeouts -= set(reaction.cancel)
        managed.timeouts |= set(reaction.start)
        for order in reaction.orders:
            managed.undecided.append(order)
            managed.ordered.append(order)

    def leg(self, kind: str, *states: str) -> list[tuple[Payment, Leg]]:
        payments = [self.streams.states[each] for each in self.managed]
        return [(p, leg) for p in payments for leg in p.legs.values() if leg.kind == kind and leg.state in states]

    # -- the network

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

    def later(self, which: int, order: Any, **told: Any) -> None:
        if payment_id := self.pick(list(self.managed), which):
            self.do(order(payment_id=payment_id, account_id=CUSTOMER, **told))

    # -- sagas, commands, time

    @rule(which=WHICH, count=st.integers(1, 4))
    def a_saga_hears(self, which: int, count: int) -> None:
        waiting = [each for each in self.managed.values() if each.unheard]
        if managed := self.pick(waiting, which):
            for _ in range(min(count, len(managed.unheard))):
                event = managed.unheard.popleft()
                self.step(managed, type(event).__name__, event)

    @rule(which=WHICH)
    def an_order_is_decided(self, which: int) -> None:
        waiting = [each for each in self.managed.values() if each.undecided]
        if managed := self.pick(waiting, which):
            order = managed.undecided.popleft()
            if isinstance(order, chain_commands.SubmitSpend | chain_commands.SubmitRefund):
                self.sent.add(order.leg_id)
            elif isinstance(order, chain_commands.InvalidateSpend):
                self.taken_back.add(order.leg_id)
            else:
                self.do(order)

    @rule()
    def the_river_flows(self) -> None:
        """All that waits is heard and decided."""
        while waiting := [each for each in self.managed.values() if each.unheard or each.undecided]:
            for managed in waiting:
                self._flow(managed)

    def _flow(self, managed: Managed) -> None:
        while managed.unheard:
            self.a_saga_hears(self._waiting("unheard").index(managed), 9)
        while managed.undecided:
            self.an_order_is_decided(self._waiting("undecided").index(managed))

    @rule(cents=st.integers(1, 900), seen=st.booleans(), final=st.booleans())
    def a_payment_goes_its_way(self, cents: int, seen: bool, final: bool) -> None:
        """The happy path, as far as it is drawn: what comes next finds it there."""
        self.the_network_asks(cents)
        self.the_river_flows()
        if seen:
            for place, _ in enumerate(self.submittable()):
                self.our_leg_is_mined(place, 0)
            self.the_river_flows()
        if final:
            self.the_oldest_becomes_final(9)

    @rule(which=WHICH, name=st.sampled_from((DEADLINE, PATIENCE, EXPIRY)))
    def time_is_up(self, which: int, name: str) -> None:
        waiting = [each for each in self.managed.values() if name in each.timeouts]
        if managed := self.pick(waiting, which):
            managed.timeouts.discard(name)
            if name == DEADLINE and managed.saga.deadline is not None:
                self.streams.now = max(self.streams.now, managed.saga.deadline + timedelta(milliseconds=1))
            self.step(managed, name, Due(name))

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
        if key := self.pick(self.of_state("unseen"), which):
            where = self.next_block()
            for each in [k for k in self.of_state("unseen") if k[1] == key[1]]:
                self.see(replace(self.moved[each][0], block=where), again=True)

    @rule(oldest=st.integers(1, 5))
    def the_oldest_becomes_final(self, oldest: int) -> None:
        heights = sorted({self.moved[key][0].block.number for key in self.of_state("seen")})[:oldest]
        for key in self.of_state("seen"):
            transfer, _ = self.moved[key]
            if transfer.block.number in heights:
                self.do(facts.FinalizeTransfer(transfer))
                self.moved[key] = transfer, "final"

    @rule(frozen=st.booleans())
    def the_card_changes(self, frozen: bool) -> None:
        order = account_commands.FreezeCard if frozen else account_commands.UnfreezeCard
        self.do(order(account_id=CUSTOMER, reason="holder"))

    # -- what must always hold

    @invariant()
    def an_amount_stands_in_one_place(self) -> None:
        account: Account = self.streams.customer
        debits = {key[1] for key in self.moved if key[0] == CUSTOMER and self._out(key) and self._open(key)}
        assert set(account.debits) == debits, "each transfer out that is not final is one debit"
        for payment_id, amount in account.holds.items():
            payment: Payment = self.streams.states[payment_id]
            assert amount == payment.held_raw, "the account and the payment say the same"
            unsent = sum(leg.amount_raw for leg in payment.legs.values() if (leg.kind, leg.state) in UNSENT)
            assert amount == (payment.amount_raw if payment.card == "requested" else unsent), (
                f"a hold without use: {payment}"
            )

    def _out(self, key: tuple[UUID, UUID]) -> bool:
        return self.moved[key][0].direction == "out"

    def _open(self, key: tuple[UUID, UUID]) -> bool:
        return self.moved[key][1] in ("seen", "unseen")

    @invariant()
    def money_is_conserved(self) -> None:
        for account_id, opening in ((CUSTOMER, 10_000), (SETTLEMENT, 50_000)):
            final = [t for (who, _), (t, where) in self.moved.items() if who == account_id and where == "final"]
            moved = sum(t.amount_raw if t.direction == "in" else -t.amount_raw for t in final)
            assert self.streams.states[account_id].final_raw == opening * CENT + moved

    @invariant()
    def each_leg_is_sent_once(self) -> None:
        for managed in self.managed.values():
            sent = [
                o.leg_id
                for o in managed.ordered
                if isinstance(o, chain_commands.SubmitRefund | chain_commands.SubmitSpend)
            ]
            assert len(sent) == len(set(sent))

    @invariant()
    def what_is_due_is_what_was_agreed(self) -> None:
        for payment_id, managed in self.managed.items():
            payment: Payment = self.streams.states[payment_id]
            assert payment.amounts.due.minor == managed.books.due
            assert payment.amounts.open.raw >= 0 and payment.amounts.captured.raw >= 0

    @invariant()
    def what_is_due_moves_or_is_owed_and_nothing_else_does(self) -> None:
        """Each spend was for something that was due when it was planned; what a refund pays back had moved, and was not due."""
        for payment_id in self.managed:
            payment: Payment = self.streams.states[payment_id]
            told = [each for each in self.streams.log if each.key == payment_id]
            owed = sum(e.amount_raw for e in told if isinstance(e, adjusted.ReceivableOpened)) - sum(
                e.amount_raw for e in told if isinstance(e, adjusted.ReceivableReduced)
            )
            assert payment.receivable_raw == owed >= 0, "the holder owes what was told"

    # -- how it ends

    def teardown(self) -> None:
        for _ in range(60):
            if not self._everybody_does_what_is_theirs():
                break
        else:
            raise AssertionError("it never comes to rest")
        for payment_id, managed in self.managed.items():
            self._must_have_ended(self.streams.states[payment_id], managed.saga)

    def _everybody_does_what_is_theirs(self) -> bool:
        before = self._standing()
        self.the_river_flows()
        for _ in self.submittable():
            self.our_leg_is_mined(0, 0)
        self.the_oldest_becomes_final(1_000)
        if before == self._standing():
            for _ in [each for each in self.managed.values() if DEADLINE in each.timeouts]:
                self.time_is_up(0, DEADLINE)
        return before != self._standing()

    def _standing(self) -> Any:
        return len(self.streams.log), [each.saga for each in self.managed.values()], len(self.sent)

    def _waiting(self, name: str) -> list[Managed]:
        return [each for each in self.managed.values() if getattr(each, name)]

    def _must_have_ended(self, payment: Payment, saga: Saga) -> None:
        assert saga.state in ENDS or saga.state in OUTSIDE, f"{saga} waits for nobody"
        assert saga.state != "unseen" or (saga.origin == "chain" and saga.any_leg("spend", "unseen"))
        assert payment.payment_id not in self.streams.customer.holds, "nothing is set aside for what has ended"
        assert payment.card != "requested" or saga.state == "parked", "somebody must answer"
        if saga.state == "parked":
            assert saga.reason and saga.parked_in
        if saga.state in ENDS:
            signs = {"spend": 1, "refund": -1}
            settled = sum(signs[leg.kind] * leg.amount_raw for leg in payment.legs.values() if leg.state == "settled")
            assert payment.due_raw - payment.written_off_raw <= settled <= payment.due_raw, f"{payment} is not even"
            assert not payment.receivable_raw and not payment.owed_back_raw


River.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestRiver = River.TestCase
