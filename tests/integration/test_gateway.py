"""The answer path on real PostgreSQL: many at once, beside reversals and locks of others. What the network is told is what the stream says."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from connectors.gateway.bounds import bounded
from connectors.gateway.requests import Opening
from infra.errors import BadInput, CommandIdReused, TooLate
from streams.domain import ids
from tests.integration.gateway_side import must_have_ended
from tests.integration.write_side import WriteSide, authorization
from tests.waiting import until


def test_what_was_declined_and_taken_back_is_not_approved_by_an_advice_that_comes_later(side: WriteSide) -> None:
    _, card = side.account()
    gateway, request = side.gateway(), authorization(card, 100_000_000)
    first = gateway.authorize(request)
    assert not first.approved
    for _ in range(2):
        taken_back = gateway.messages.reverse(first.payment_id, "r1", "test")
        assert (taken_back.accepted, taken_back.response_code, taken_back.state) == (True, "00", "declined")
    told = Opening(card, 100_000_000, "EUR")
    advised = gateway.messages.advise(request.idempotency_key, "a1", told, "network")
    assert (advised.accepted, advised.reason, advised.state) == (False, "reversed", "declined")
    assert side.types(first.payment_id)[-2:] == ["ReversalAcknowledged", "CardMessageRefused"]
    assert gateway.authorize(request) == first


def test_the_same_request_ten_times_at_once_is_one_effect_and_one_answer(side: WriteSide) -> None:
    account_id, card = side.account()
    request, gateways = authorization(card, 1_000), [side.gateway(), side.gateway()]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda number: gateways[number % 2].authorize(request), range(10)))
    assert len(set(answers)) == 1 and answers[0].approved
    assert side.types(answers[0].payment_id) == [
        "PaymentRequested", "PaymentHeld", "PaymentScreened", "PaymentAuthorized", "LegPlanned",
    ]  # fmt: skip
    assert side.rows(
        "SELECT type FROM outbox WHERE key = %s AND topic = 'chain.commands'", str(answers[0].payment_id)
    ) == [("SubmitSpend",)]
    assert side.state(account_id).held_raw == 1_000 * 10**16


@pytest.mark.parametrize("cents", [1_000, 0])
def test_a_repeat_is_told_the_first_answer_and_other_fields_are_refused(side: WriteSide, cents: int) -> None:
    _, card = side.account()
    first = side.gateway().authorize(authorization(card, cents, "key-of-one" + card))
    assert side.gateway().authorize(authorization(card, cents, "key-of-one" + card, deadline_ms=9_000)) == first
    with pytest.raises(CommandIdReused):
        side.gateway().authorize(authorization(card, cents + 1, "key-of-one" + card))


def test_of_a_hundred_at_once_with_funds_for_37_exactly_37_are_approved(side: WriteSide) -> None:
    account_id, card = side.account(cents=3_700)
    gateways = [side.gateway(30_000), side.gateway(30_000)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: gateways[n % 2].authorize(authorization(card, 100)), range(100)))
    assert sum(each.approved for each in answers) == 37
    assert {each.reason for each in answers if not each.approved} == {"insufficient_funds"}
    assert side.state(account_id).held_raw == 3_700 * 10**16


def test_whoever_asks_is_named_by_what_he_asked_and_his_keys_are_his_own(side: WriteSide) -> None:
    _, card = side.account(cents=5_000)
    gateway, key = side.gateway(), "key-of-two" + card
    first = gateway.authorize(authorization(card, 1_000, key, actor="network/visa-eu"))
    other = gateway.authorize(authorization(card, 2_000, key, actor="network/other"))
    assert first.approved and other.approved and first.payment_id != other.payment_id
    assert gateway.authorize(authorization(card, 1_000, key, actor="network/visa-eu")) == first
    told = Opening(card, 100, "EUR")
    for open_by in (gateway.messages.present, gateway.messages.refund_unlinked):
        opened = [open_by(key, told, actor).payment_id for actor in ("network/visa-eu", "network/other")]
        assert len(set(opened)) == 2
    back = gateway.messages.reverse_early(key, "r1", Opening(card, 2_000, "EUR"), "network/other")
    assert (back.payment_id, back.state) == (other.payment_id, "reversed")
    assert side.state(first.payment_id).card == "authorized"
    actors = "SELECT type, metadata ->> 'actor' FROM events WHERE stream_id = %s ORDER BY version"
    assert side.rows(actors, first.payment_id)[:2] == [
        ("PaymentRequested", "network/visa-eu"),
        ("PaymentHeld", "gateway"),
    ]


@pytest.mark.parametrize("cents", [-5, 2**63, 2**255])
def test_what_is_no_amount_is_refused_and_leaves_nothing(side: WriteSide, cents: int) -> None:
    _, card = side.account()
    request = authorization(card, cents)
    with pytest.raises(BadInput, match=str(cents)):
        side.gateway().authorize(request)
    assert side.state(ids.network_payment_id(request.idempotency_key)) is None


def test_a_posting_in_another_currency_or_of_nothing_is_refused(side: WriteSide) -> None:
    _, card = side.account()
    answer = side.gateway().authorize(authorization(card, 1_000))
    for cents, currency in ((1_000, "GBP"), (0, "EUR"), (-1, "EUR"), (2**63, "EUR")):
        with pytest.raises(BadInput):
            side.gateway().messages.capture(answer.payment_id, "p1", cents, currency, "test")
    assert side.gateway().messages.capture(answer.payment_id, "p1", 1_000, "EUR", "test").state == "captured"


def test_a_reversal_beside_the_request_leaves_no_hold_on_an_ended_payment(side: WriteSide) -> None:
    account_id, card = side.account()
    gateway = side.gateway()
    for _ in range(5):
        request = authorization(card, 1_000)
        payment_id = ids.network_payment_id(request.idempotency_key)
        with ThreadPoolExecutor(2) as pool:
            asked = pool.submit(gateway.authorize, request)
            until(partial(side.state, payment_id), "the request")
            gateway.messages.reverse(payment_id, "r1", "test")
            answer = asked.result()
        side.settle(payment_id)
        payment = side.state(payment_id)
        assert payment.card == ("reversed" if answer.approved else "declined")
        assert (payment_id in side.state(account_id).holds) == answer.approved


def test_while_another_holds_the_account_the_network_is_told_in_time_that_nothing_is_approved(side: WriteSide) -> None:
    account_id, card = side.account()
    gateway, request = side.gateway(600), authorization(card, 1_000)
    gateway.authorize(authorization(card, 1))
    held = side.lock(account_id)
    try:
        began = time.monotonic()
        with pytest.raises(TooLate, match="nothing was approved"):
            gateway.authorize(request)
        assert time.monotonic() - began < 1.2
    finally:
        held.rollback()
        held.close()
    assert side.state(ids.network_payment_id(request.idempotency_key)) is None


def test_an_account_that_is_taken_between_the_hold_and_the_answer_is_answered_in_time_too(
    side: WriteSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id, card = side.account()
    gateway, request = side.gateway(900), authorization(card, 1_000)
    payment_id = ids.network_payment_id(request.idempotency_key)
    before = gateway._drive
    taken: list[Any] = []

    def drive(*args: Any) -> Any:
        taken.append(side.lock(account_id))
        return before(*args)

    monkeypatch.setattr(gateway, "_drive", drive)
    began = time.monotonic()
    with pytest.raises(TooLate):
        gateway.authorize(request)
    assert time.monotonic() - began < 2
    taken[0].rollback()
    taken[0].close()
    must_have_ended(side, payment_id, account_id, ("declined",))


def test_an_authorization_that_comes_at_once_after_its_reversal_is_answered(side: WriteSide) -> None:
    """Nobody has told the saga of the reversal yet: it takes both, in their order."""
    _, card = side.account()
    gateway, request = side.gateway(), authorization(card, 1_000)
    early = gateway.messages.reverse_early(request.idempotency_key, "r1", Opening(card, 1_000, "EUR"), "network")

    late = gateway.authorize(request)

    assert (late.payment_id, late.approved, late.state) == (early.payment_id, False, "reversed")
    taken = side.rows("SELECT input FROM saga_steps WHERE saga_id = %s ORDER BY step", late.payment_id)
    assert [name for (name,) in taken] == side.types(late.payment_id)
    assert leased(side, late.payment_id) == [False]
    assert gateway.authorize(request) == late


def test_the_same_request_ten_times_at_once_for_a_card_that_nobody_knows_is_one_payment(side: WriteSide) -> None:
    """They share no stream that could be locked: the saga's row tells them apart."""
    gateway, request = side.gateway(), authorization("nobody's", 1_000)
    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(lambda _: gateway.authorize(request), range(10)))
    assert [(each.approved, each.response_code) for each in told] == [(False, "14")] * 10
    assert len({each.payment_id for each in told}) == 1
    assert leased(side, told[0].payment_id) == [False]


def test_what_is_answered_at_once_is_on_the_disk_when_it_is_told(side: WriteSide) -> None:
    """W's log writer would bring it there, too, but up to 0.6 s later: of ten answers it may meet one."""
    gateway, on_disk = side.gateway(), 0
    for _ in range(10):
        gateway.authorize(authorization("nobody's", 1_000))
        ((flushed,),) = side.rows("SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()")
        on_disk += flushed
    assert on_disk >= 9


def leased(side: WriteSide, payment_id: UUID) -> list[bool]:
    """Whether a gateway keeps the saga for itself: one that does not go on with it must not."""
    return [row[0] for row in side.rows("SELECT lease_until IS NOT NULL FROM sagas WHERE saga_id = %s", payment_id)]


def test_the_first_statement_is_bound_already(side: WriteSide) -> None:
    began = time.monotonic()
    with pytest.raises(TooLate, match="W did not answer"), bounded(side.door("gateway"), began + 0.3) as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    assert time.monotonic() - began < 2
