"""Payments, their account and their sagas together, in memory, in any order that network, chain and time can bring.

Orders and events wait in queues, each payment's in its order, as on the topics; a rule takes one step of one queue. At the
end everybody does what is theirs, and every path must have come to an end, or wait for a step outside that it can name.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from schemas.messages import chain_commands
from schemas.messages import payment_adjustment_events as adjusted
from streams.domain.states.account import Account
from streams.domain.states.payment import Payment
from streams.sagas.authorization import DEADLINE, ENDS, EXPIRY, PATIENCE
from streams.sagas.rows import Due
from streams.sagas.saga import Saga
from tests.chain_in_memory import Chain
from tests.given import CENT, CUSTOMER, SETTLEMENT
from tests.network_in_memory import Network
from tests.payments_in_memory import WHICH, Managed

OUTSIDE = {"unseen": "a foreign spend may be mined again, or never", "parked": "a person"}
NEVER_SEEN = (("spend", "planned"), ("spend", "submitted"))


class River(Network, Chain):
    """The whole of it."""

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

    # -- what must always hold

    @invariant()
    def an_amount_stands_in_one_place(self) -> None:
        account: Account = self.streams.customer
        debits = {key[1] for key in self.moved if key[0] == CUSTOMER and self._out(key) and self._open(key)}
        assert set(account.debits) == debits, "each transfer out that is not final is one debit"
        for payment_id, amount in account.holds.items():
            payment: Payment = self.streams.states[payment_id]
            assert amount == payment.held_raw, "the account and the payment say the same"
            waiting = sum(leg.amount_raw for leg in payment.legs.values() if (leg.kind, leg.state) in NEVER_SEEN)
            assert amount == (payment.amount_raw if payment.card == "requested" else waiting), (
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
        for place, managed in enumerate(self.managed.values()):
            if managed.saga.reason == "refund_ended_unpaid":
                self.a_person_has_a_refund_paid_after_all(place)
        if before == self._standing():
            for _ in [each for each in self.managed.values() if DEADLINE in each.timeouts]:
                self.time_is_up(0, DEADLINE)
        return before != self._standing()

    def _standing(self) -> tuple[int, list[Saga], int]:
        return len(self.streams.log), [each.saga for each in self.managed.values()], len(self.sent)

    def _waiting(self, name: str) -> list[Managed]:
        return [each for each in self.managed.values() if getattr(each, name)]

    def _must_have_ended(self, payment: Payment, saga: Saga) -> None:
        assert saga.state in ENDS or saga.state in OUTSIDE, f"{saga} waits for nobody"
        assert saga.state != "unseen" or (saga.origin == "chain" and saga.any_leg("spend", "unseen"))
        assert payment.payment_id not in self.streams.customer.holds, "nothing is set aside for what has ended"
        assert payment.card != "requested" or saga.state == "parked", "somebody must answer"
        if saga.state == "parked":
            assert saga.reason and saga.parked_in and saga.reason != "refund_ended_unpaid"
        if saga.state in ENDS:
            signs = {"spend": 1, "refund": -1}
            settled = sum(signs[leg.kind] * leg.amount_raw for leg in payment.legs.values() if leg.state == "settled")
            assert payment.due_raw - payment.written_off_raw <= settled <= payment.due_raw, f"{payment} is not even"
            assert not payment.receivable_raw and not payment.owed_back_raw


River.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestRiver = River.TestCase
