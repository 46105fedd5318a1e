"""The table: every order and every fact, the streams it touches, and who decides. A new one is one row here and one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schemas.messages import account_commands, card_controls, payment_adjustment_commands, payment_commands
from streams.domain import account_decisions, person
from streams.domain.card.table import decided
from streams.domain.chain import fact_decisions, facts, leg_decisions
from streams.domain.opening import Events

Streams = tuple[UUID | None, UUID | None]
"""(payment, account): the two streams that a decision may append to together."""


@dataclass(frozen=True)
class Decision:
    """Who decides an order, and on which streams. `timely`: refused by W's clock once the deadline has passed, the order's or the payment's."""

    decide: Callable[..., Events]
    streams: Callable[[Any], Streams]
    timely: bool = False


def _both(order: Any) -> Streams:
    return order.payment_id, order.account_id


def _payment(order: Any) -> Streams:
    return order.payment_id, None


def _account(order: Any) -> Streams:
    return None, order.account_id


def _person(order: Any) -> Streams:
    """A person's stream takes the account's place: no decision needs both."""
    return None, order.person_id


def _transfer(fact: Any) -> Streams:
    payment_id = fact.transfer.payment_id if fact.transfer.leg_id is not None else None
    return payment_id, fact.transfer.account_id


DECISIONS: Mapping[type, Decision] = {
    payment_commands.RequestPayment: Decision(decided("authorization"), _both),
    payment_commands.HoldFunds: Decision(decided("hold"), _both),
    payment_commands.ScreenPayment: Decision(decided("screening"), _both),
    payment_commands.AuthorizePayment: Decision(decided("approval"), _payment, timely=True),
    payment_commands.DeclinePayment: Decision(decided("decline"), _both),
    payment_adjustment_commands.AdvisePayment: Decision(decided("advice"), _both),
    payment_adjustment_commands.IncrementPayment: Decision(decided("increment"), _both, timely=True),
    payment_commands.ReversePayment: Decision(decided("reversal"), _both),
    payment_commands.ExpirePayment: Decision(decided("expiry"), _payment),
    payment_commands.CapturePayment: Decision(decided("capture"), _both),
    payment_adjustment_commands.RecordPresentment: Decision(decided("presentment"), _both),
    payment_adjustment_commands.ReverseCapture: Decision(decided("capture_reversal"), _both),
    payment_adjustment_commands.RefundPayment: Decision(decided("refund"), _both),
    payment_adjustment_commands.RecordRefund: Decision(decided("unlinked_refund"), _both),
    payment_adjustment_commands.ReverseRefund: Decision(decided("refund_reversal"), _both),
    payment_adjustment_commands.OpenDispute: Decision(decided("dispute"), _both),
    payment_adjustment_commands.ResolveDispute: Decision(decided("dispute_resolution"), _both),
    payment_adjustment_commands.CollectReceivable: Decision(leg_decisions.collect, _both),
    payment_adjustment_commands.WriteOffReceivable: Decision(leg_decisions.write_off, _payment),
    payment_commands.PlanRefund: Decision(leg_decisions.plan_refund, _payment),
    payment_commands.RefundAgain: Decision(leg_decisions.refund_again, _payment),
    payment_commands.CloseSpend: Decision(leg_decisions.close_spend, _both),
    payment_commands.RecordLegSubmitted: Decision(leg_decisions.record_submitted, _payment),
    payment_commands.RecordLegReverted: Decision(leg_decisions.record_reverted, _payment),
    payment_commands.GiveUpSpend: Decision(leg_decisions.give_up, _payment),
    payment_commands.EndLegUnpaid: Decision(leg_decisions.end_unpaid, _payment),
    account_commands.RegisterAccount: Decision(account_decisions.register, _account),
    account_commands.BindCard: Decision(account_decisions.bind_card, _account),
    account_commands.FreezeCard: Decision(account_decisions.freeze_card, _account),
    account_commands.UnfreezeCard: Decision(account_decisions.unfreeze_card, _account),
    card_controls.SetCardLimits: Decision(account_decisions.set_limits, _account),
    card_controls.BlockMcc: Decision(account_decisions.block_mcc, _account),
    card_controls.UnblockMcc: Decision(account_decisions.unblock_mcc, _account),
    card_controls.BlockCountry: Decision(account_decisions.block_country, _account),
    card_controls.UnblockCountry: Decision(account_decisions.unblock_country, _account),
    facts.SeeTransfer: Decision(fact_decisions.see, _transfer),
    facts.UnseeTransfer: Decision(fact_decisions.unsee, _transfer),
    facts.FinalizeTransfer: Decision(fact_decisions.finalize, _transfer),
    facts.FinalizeInvalidation: Decision(leg_decisions.invalidated, _both),
    facts.LoseTransfer: Decision(leg_decisions.lose, _account),
    facts.EndTransfer: Decision(leg_decisions.end, _account),
    facts.ConsumeAllowance: Decision(fact_decisions.consume_allowance, _account),
    facts.ObserveAllowance: Decision(fact_decisions.observe_allowance, _account),
    facts.FinalizeAllowanceRaise: Decision(fact_decisions.finalize_raise, _account),
    facts.QueueWithdrawal: Decision(fact_decisions.queue_withdrawal, _account),
    facts.EmptyDelayQueue: Decision(fact_decisions.empty_queue, _account),
    facts.ObserveDrift: Decision(fact_decisions.observe_drift, _account),
    facts.ObserveIntegrity: Decision(fact_decisions.observe_integrity, _account),
    person.RegisterPerson: Decision(person.register, _person),
    person.CorrectPerson: Decision(person.correct, _person),
    person.PlaceLegalHold: Decision(person.place_hold, _person),
    person.LiftLegalHold: Decision(person.lift_hold, _person),
    person.ForgetPerson: Decision(person.forget, _person),
}
