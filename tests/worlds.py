"""A small payment world for property tests: what happens is drawn, what follows is decided by the product's own decisions.

Nothing here writes an event by hand, so every history is one that the write side can really make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from schemas.definition import Message, Raw
from schemas.messages import account_commands, payment_commands
from schemas.messages import card_controls as controls
from schemas.messages import payment_adjusting as adjusting
from streams.delivered import Delivered
from streams.domain import account, facts, ids, payment
from streams.domain.allowance import Allowance
from streams.domain.circumstances import Circumstances, Policy
from streams.domain.decisions import DECISIONS

CENT = 10**16
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVOLVE = {"payments.events": payment.evolve, "accounts.events": account.evolve}

Step = tuple[str, int, int]
"""(what happens, which one of those it can happen to, how many cents)."""

ACTIONS = (
    *("request", "request", "hold", "screen", "authorize", "authorize", "authorize"),
    *("decline", "capture", "reverse", "expire", "verify", "capture_part", "reverse_part", "increment", "advise"),
    *(
        "present",
        "unlinked_refund",
        "refund",
        "undo_refund",
        "undo_capture",
        "dispute",
        "win",
        "lose",
        "collect",
        "write_off",
    ),
    *("submit", "revert", "see_leg", "see_leg", "give_up", "end_unpaid", "plan_refund", "plan_refund"),
    *("deposit", "foreign_spend", "withdrawal", "of_history", "unsee", "see_again", "finalize", "finalize", "finalize"),
    *("limit", "bar", "unbar"),
    *("freeze", "unfreeze", "queue", "empty", "empty", "broken", "mended", "mended"),
    *("consume", "raise", "cut", "finalize_raise", "wait"),
)
steps = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), st.integers(0, 9_000)), max_size=60)


@dataclass
class World:
    """One customer, one settlement wallet, the payments between them, and everything that was appended, in order."""

    name: str = "world"
    events: list[Delivered] = field(default_factory=list)
    states: dict[UUID, Any] = field(default_factory=dict)
    versions: dict[UUID, int] = field(default_factory=dict)
    payments: list[UUID] = field(default_factory=list)
    transfers: dict[tuple[UUID, UUID], tuple[facts.Transfer, str]] = field(default_factory=dict)
    now: datetime = BEGAN

    def __post_init__(self) -> None:
        self.customer = ids.account_id(100, f"0x{self.name}-safe", "0xtoken")
        self.settlement = ids.account_id(100, f"0x{self.name}-settlement", "0xtoken")
        self._register(self.customer, "customer", 20_000 * CENT)
        self._register(self.settlement, "settlement", 50_000 * CENT)

    @classmethod
    def of(cls, taken: Sequence[Step], name: str = "world") -> World:
        """The world after these steps; one that cannot happen now does nothing."""
        world = cls(name)
        for action, which, cents in taken:
            getattr(world, f"_{action}")(which, cents)
        return world

    def of_stream(self, stream_id: UUID) -> list[Delivered]:
        """One stream's events, in order."""
        return [event for event in self.events if event.stream_id == stream_id]

    def do(self, order: Any) -> None:
        """Decide an order or a fact, as the command handler does, and append what follows."""
        decision = DECISIONS[type(order)]
        streams = [self.states.get(each) if each else None for each in decision.streams(order)]
        now = Circumstances(self.now, int(self.now.timestamp()), 0, Policy())
        for message in decision.decide(order, *streams, now):
            self._append(message)

    def _append(self, message: Message) -> None:
        self.now += timedelta(seconds=1)
        stream_id = message.key
        version = self.versions[stream_id] = self.versions.get(stream_id, 0) + 1
        self.states[stream_id] = EVOLVE[message.topic](self.states.get(stream_id), message)
        event_id = ids.derived(self.name, stream_id, version)
        headers = {"ce_id": str(event_id), "stream_version": str(version)}
        place = (message.topic, 0, len(self.events))
        self.events.append(
            Delivered(event_id, stream_id, version, len(self.events) + 1, message, self.now, headers, place)
        )

    # --- the card network -----------------------------------------------------------------------------------------------

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

    # --- the account ----------------------------------------------------------------------------------------------------

    def _freeze(self, _: int, __: int) -> None:
        self.do(account_commands.FreezeCard(account_id=self.customer, reason="holder"))

    def _unfreeze(self, _: int, __: int) -> None:
        self.do(account_commands.UnfreezeCard(account_id=self.customer, reason="holder"))

    def _limit(self, which: int, cents: int) -> None:
        limits = {"per_day_minor": cents * 3, "velocity_count": which + 1, "velocity_seconds": 3600} if which else {}
        self.do(controls.SetCardLimits(account_id=self.customer, **limits))

    def _bar(self, which: int, cents: int) -> None:
        self.do(controls.BlockMcc(account_id=self.customer, mcc=f"{which:04}", reason="holder"))
        self.do(controls.BlockCountry(account_id=self.customer, country=f"X{cents % 3}", reason="holder"))

    def _unbar(self, which: int, cents: int) -> None:
        self.do(controls.UnblockMcc(account_id=self.customer, mcc=f"{which:04}", reason="holder"))
        self.do(controls.UnblockCountry(account_id=self.customer, country=f"X{cents % 3}", reason="holder"))

    def _queue(self, which: int, _: int) -> None:
        self.do(facts.QueueWithdrawal(self.customer, which, "0xhash", "0xtoken", "0xtx", self._block()))

    def _empty(self, which: int, _: int) -> None:
        self.do(facts.EmptyDelayQueue(self.customer, which, self._block()))

    def _broken(self, _: int, __: int) -> None:
        self.do(facts.ObserveIntegrity(self.customer, "DelayMisconfigured", self._block()))

    def _mended(self, _: int, __: int) -> None:
        self.do(facts.ObserveIntegrity(self.customer, "Ok", self._block()))

    def _consume(self, _: int, cents: int) -> None:
        known = self.states[self.customer]
        stored = (known.raised_allowance or known.allowance).consumed(cents * CENT, self._block().time)
        self.do(facts.ObserveAllowance(self.customer, "consumed", stored, self._block()))

    def _raise(self, _: int, cents: int) -> None:
        self._set(15_000 + cents)

    def _cut(self, _: int, cents: int) -> None:
        self._set(cents)

    def _set(self, cents: int) -> None:
        block = self._block()
        self.do(
            facts.ObserveAllowance(
                self.customer, "set", Allowance(cents * CENT, cents * CENT, cents * CENT, 3600, block.time), block
            )
        )

    def _finalize_raise(self, _: int, __: int) -> None:
        self.do(facts.FinalizeAllowanceRaise(self.customer, self._block()))

    def _wait(self, which: int, _: int) -> None:
        self.now += timedelta(minutes=20 * which)

    def _register(self, account_id: UUID, kind: str, balance: int) -> None:
        block = self._block()
        self.do(
            account_commands.RegisterAccount(
                account_id=account_id,
                kind=kind,
                chain_id=100,
                wallet=f"0x{self.name}-{kind}",
                token="0xToken",
                currency="EUR",
                decimals=18,
                settlement_address="0xSettlement",
                card_token=f"card-{self.name}" if kind == "customer" else None,
                opening_balance_raw=Raw(balance),
                allowance_balance_raw=Raw(15_000 * CENT),
                allowance_max_refill_raw=Raw(15_000 * CENT),
                allowance_refill_raw=Raw(15_000 * CENT),
                allowance_period_seconds=3600,
                allowance_timestamp=block.time,
                queue_empty=True,
                integrity="Ok",
                block_number=block.number,
                block_hash=block.hash,
                block_time=block.time,
            )
        )

    def _transfer_id(self) -> UUID:
        return ids.derived("transfer", self.name, len(self.events))

    def _block(self) -> facts.Block:
        return facts.Block(len(self.events) + 1, f"0xblock{len(self.events)}", int(self.now.timestamp()))

    @staticmethod
    def _pick(these: Sequence[Any], which: int) -> Any:
        return these[which % len(these)] if these else None
