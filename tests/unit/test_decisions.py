"""Decisions as a whole: every order twice is once, nothing that is decided cannot be folded, and who decides late decides nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definition import Raw, from_json, to_json
from schemas.messages import account_commands, payment_commands
from schemas.messages import card_controls as controls
from schemas.messages import payment_events as on
from streams.domain import person
from streams.domain.chain import facts
from streams.domain.decisions import DECISIONS
from tests.given import (
    APPROVED,
    AUTHORIZE,
    CENT,
    CLOSE_SPEND,
    CUSTOMER,
    DECLINE,
    EXPIRE,
    GIVE_UP,
    HOLD,
    NOON,
    PAYMENT,
    PLAN_REFUND,
    REFUND_AGAIN,
    REVERSE,
    SCREEN,
    SPEND,
    Streams,
    block,
    end_refund,
    invalidated,
    names,
    only,
    opened,
    refund,
    registration,
    request,
    seen,
    transfer,
)
from tests.network_says import (
    COLLECT,
    UNDO_CAPTURE,
    UNDO_REFUND,
    WRITE_OFF,
    advice,
    capture,
    dispute,
    give_back,
    increment,
    presentment,
    resolve,
    reverse,
    unlinked_refund,
)

ORDERS: tuple[Any, ...] = (
    *(registration(), request(), request(0), HOLD, SCREEN, AUTHORIZE, DECLINE, REVERSE, EXPIRE, PLAN_REFUND, REFUND_AGAIN, CLOSE_SPEND),
    *(capture(), capture(400, "p2"), capture(400, "p3", final=False), GIVE_UP, invalidated(), end_refund(), COLLECT, WRITE_OFF),
    *(increment(), increment(90_000, "i2"), reverse(300, "r2"), advice(), presentment(), UNDO_CAPTURE),
    *(give_back(), give_back(2_000, "f2"), unlinked_refund(), UNDO_REFUND, dispute(300), resolve("won"), resolve("lost", "d2")),
    payment_commands.RecordLegSubmitted(payment_id=PAYMENT, leg_id=SPEND, tx_hash="0xspend"),
    payment_commands.RecordLegReverted(payment_id=PAYMENT, leg_id=SPEND, tx_hash="0xspend", reason="out of gas"),
    account_commands.BindCard(account_id=CUSTOMER, card_token="card-later"),
    account_commands.FreezeCard(account_id=CUSTOMER, reason="lost"),
    account_commands.UnfreezeCard(account_id=CUSTOMER, reason="found"),
    controls.SetCardLimits(account_id=CUSTOMER, per_day_minor=1_500, velocity_count=2, velocity_seconds=60),
    *(order(account_id=CUSTOMER, mcc="5814", reason="holder") for order in (controls.BlockMcc, controls.UnblockMcc)),
    *(order(account_id=CUSTOMER, country="AT", reason="holder") for order in (controls.BlockCountry, controls.UnblockCountry)),
    *(seen(transfer()), facts.UnseeTransfer(transfer()), facts.FinalizeTransfer(transfer())),
    *(facts.QueueWithdrawal(CUSTOMER, 1, "0xq", "0xt", "0xtx", block(12)), facts.EmptyDelayQueue(CUSTOMER, 1, block(13))),
    facts.LoseTransfer(CUSTOMER, transfer().transfer_id, SPEND),
    facts.EndTransfer(CUSTOMER, transfer().transfer_id, block(12)),
    facts.ObserveIntegrity(CUSTOMER, "SafeMisconfigured", block(12)),
    facts.ConsumeAllowance(CUSTOMER, 5_000 * CENT, block(12)),
    facts.ObserveDrift(CUSTOMER, "queue", "empty", "1 of 2", block(12)),
)  # fmt: skip
STREAMED = (facts.QueueWithdrawal, facts.ConsumeAllowance, facts.ObserveDrift)
"""Facts that are told once a log; the listener's ids, not the account, make them happen once."""


def tellable(streams: Streams, order: Any) -> bool:
    """A fact is brought only of a wallet under watch; what vanished or became final was seen."""
    if isinstance(order, payment_commands.RequestPayment | account_commands.RegisterAccount):
        return True
    return CUSTOMER in streams.states


@given(st.lists(st.sampled_from(ORDERS), max_size=25))
def test_any_order_twice_is_once_and_everything_decided_can_be_folded_and_stored(orders: list[Any]) -> None:
    streams = Streams()
    for order in orders:
        if not tellable(streams, order):
            continue
        for event in streams.when(order):
            assert from_json(type(event), to_json(event)) == event
        if not isinstance(order, STREAMED):
            assert streams.when(order) == [], f"{type(order).__name__} twice"


def test_every_order_is_drawn_here_or_has_a_test_of_its_own() -> None:
    elsewhere = {facts.ObserveAllowance, facts.FinalizeAllowanceRaise}
    elsewhere |= {order for order in DECISIONS if order.__module__ == person.__name__}
    assert {type(order) for order in ORDERS} | elsewhere == set(DECISIONS)


@given(st.permutations([*APPROVED, DECLINE, REVERSE]))
def test_an_open_payment_is_answered_once_in_whatever_order_the_orders_come(orders: list[Any]) -> None:
    streams = Streams()
    for order in orders:
        if tellable(streams, order):
            streams.when(order)
    answers = [each for each in names(streams.log) if each in ("PaymentAuthorized", "PaymentDeclined")]
    assert len(answers) <= 1
    if answers == ["PaymentDeclined"]:
        assert not streams.customer.holds, "a declined payment holds nothing"


# -- the deadline


def test_an_approval_past_the_deadline_is_none_and_the_decline_gives_the_hold_back() -> None:
    streams = opened().given(request(), HOLD, SCREEN)
    streams.now = NOON + timedelta(seconds=2, microseconds=1)
    assert streams.when(AUTHORIZE) == []
    assert names(streams.when(DECLINE)) == ["PaymentDeclined", "HoldReleased"]


def test_an_approval_before_the_deadline_stands_though_the_decline_comes_after_it() -> None:
    streams = Streams().given(*APPROVED)
    streams.now = NOON + timedelta(hours=1)
    assert streams.when(DECLINE) == []


# -- who is refused, and why


@pytest.mark.parametrize(
    ("story", "cents", "reason"),
    [
        ([], 10_001, "insufficient_funds"),
        ([], 8_001, "over_limit"),
        ([facts.ObserveIntegrity(CUSTOMER, "SafeMisconfigured", block(11))], 1, "account_integrity"),
        ([facts.QueueWithdrawal(CUSTOMER, 0, "0xq", "0xt", "0xtx", block(11))], 1, "withdrawal_pending"),
    ],
)
def test_a_hold_is_refused_for_its_reason(story: list[Any], cents: int, reason: str) -> None:
    streams = opened().given(*story, request(cents))
    assert only(on.HoldRefused, streams.when(HOLD)).reason == reason
    assert not streams.customer.holds


def test_nothing_is_approved_on_an_old_view_of_the_chain() -> None:
    streams = opened().given(request())
    streams.chain_age_seconds = streams.policy.chain_stale_seconds + 1
    assert only(on.HoldRefused, streams.when(HOLD)).reason == "chain_stale"


def test_the_first_refusal_stands_though_the_funds_come() -> None:
    streams = opened().given(request(8_001), HOLD)
    assert streams.when(HOLD) == []


@pytest.mark.parametrize(
    ("story", "change", "reason"),
    [
        ([account_commands.FreezeCard(account_id=CUSTOMER, reason="lost")], {}, "card_frozen"),
        ([], {"card_token": "card-of-nobody"}, "card_unknown"),
        ([], {"mcc": "7995"}, "mcc_blocked"),
    ],
)
def test_a_payment_is_screened_against_the_rules(story: list[Any], change: dict[str, Any], reason: str) -> None:
    streams = opened().given(*story, replace(request(), **change), HOLD)
    screened = only(on.PaymentScreened, streams.when(SCREEN))
    assert (screened.verdict, screened.reason) == ("refused", reason)
    assert streams.when(AUTHORIZE) == []


def test_the_first_verdict_stands_though_the_card_is_frozen_since() -> None:
    streams = opened().given(request(), HOLD, SCREEN, account_commands.FreezeCard(account_id=CUSTOMER, reason="lost"))
    assert streams.when(SCREEN) == []
    assert names(streams.when(AUTHORIZE)) == ["PaymentAuthorized", "LegPlanned"]


def test_a_settlement_wallet_pays_nothing_by_card() -> None:
    streams = Streams().given(registration(kind="settlement"))
    _, *then = streams.when(request())
    assert only(on.PaymentDeclined, then).reason == "account_unknown"


# -- money


@given(cents=st.integers(1, 8_000), drops=st.integers(0, 3), paid_back=st.booleans())
def test_what_leaves_an_account_and_is_paid_back_is_the_same_amount(cents: int, drops: int, paid_back: bool) -> None:
    streams = Streams().given(registration(), request(cents), HOLD, SCREEN, AUTHORIZE, seen(transfer(cents)))
    for _ in range(drops):
        streams.given(facts.UnseeTransfer(transfer(cents)), seen(transfer(cents), again=True))
    streams.given(facts.FinalizeTransfer(transfer(cents)), REVERSE)
    assert streams.customer.final_raw == (10_000 - cents) * CENT
    if paid_back:
        streams.given(PLAN_REFUND, seen(refund(cents)), facts.FinalizeTransfer(refund(cents)))
        assert streams.customer.final_raw == 10_000 * CENT
    assert not streams.customer.holds and not streams.customer.debits


def test_a_transaction_that_fails_ends_nothing() -> None:
    streams = Streams().given(*APPROVED)
    reverted = payment_commands.RecordLegReverted(payment_id=PAYMENT, leg_id=SPEND, tx_hash="0xa", reason="reverted")
    assert names(streams.when(reverted)) == ["LegReverted"]
    assert streams.payment.legs[SPEND].state == "planned"
    assert dict(streams.customer.holds) == {PAYMENT: Raw(1_000 * CENT)}
