"""The answer path on real PostgreSQL: many at once, dead, frozen and thawed. What the network is told is what the stream says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors.gateway.bounds import bounded
from connectors.gateway.requests import Opening
from infra.errors import BadInput, CommandIdReused, TooLate
from infra.stack import access
from streams.domain import ids
from tests.integration import write_side
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide, authorization

FAILPOINTS = (
    "gateway.before_hold_commit", "gateway.after_hold", "gateway.between_steps", "gateway.between_steps:2",
    "gateway.between_steps:3", "gateway.before_answer_commit", "gateway.after_rows", "gateway.after_rows:2",
)  # fmt: skip


@pytest.fixture
def side(databases: Databases) -> WriteSide:
    return WriteSide(databases)


def until(true: Callable[[], Any], what: str, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def a_gateway(side: WriteSide, request: dict[str, Any], **settings: Any) -> subprocess.Popen[str]:
    """A gateway in a process of its own, about to ask."""
    told = {
        "PAYRIVER_COMPONENT": "api",
        "PAYRIVER_WRITE_URL": access.database_url(side.databases.stack.home, "write", "gateway"),
        **{f"PAYRIVER_{name.upper()}": str(value) for name, value in settings.items()},
    }
    program = [sys.executable, str(Path(write_side.__file__)), json.dumps(request)]
    root = str(Path(write_side.__file__).parents[2])
    process = subprocess.Popen(
        program, env={**os.environ, **told, "PYTHONPATH": root}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def asks(card: str, cents: int, key: str) -> dict[str, Any]:
    return {"idempotency_key": key, "card_token": card, "amount_minor": cents, "currency": "EUR"}


def must_have_ended(side: WriteSide, payment_id: UUID, account_id: UUID, cards: tuple[str, ...]) -> None:
    """The saga's timeouts and workers do what is theirs; then nothing is held, and nothing approved that nobody was told of."""
    until(lambda: fired(side, payment_id), "the deadline's timeout", 15)
    side.settle(payment_id)
    payment = side.state(payment_id)
    assert payment.card in cards, payment
    assert payment_id not in side.state(account_id).holds or payment.card == "authorized"
    ((state, leased),) = side.rows("SELECT state, lease_until > now() FROM sagas WHERE saga_id = %s", payment_id)
    assert (state, bool(leased)) == (("spending" if payment.card == "authorized" else "declined"), False)
    assert side.rows("SELECT FROM saga_inbox WHERE saga_id = %s AND state = 'pending'", payment_id) == []


def fired(side: WriteSide, payment_id: UUID) -> bool:
    """Fire what is due; whether this payment's saga waits for no deadline any more."""
    side.fire()
    waiting = "SELECT FROM saga_timeouts WHERE saga_id = %s AND name = 'deadline' AND state = 'waiting'"
    return not side.rows(waiting, payment_id)


def waits_for_a_lock(side: WriteSide) -> bool:
    """Whether a gateway waits for a row that another holds."""
    with side.databases.stack.postgres("write").superuser() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE usename = 'gateway' AND wait_event_type = 'Lock'")
        return bool(cursor.rowcount)


# -- at once


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
            until(lambda asked=payment_id: side.state(asked), "the request")  # type: ignore[misc]
            gateway.messages.reverse(payment_id, "r1", "test")
            answer = asked.result()
        side.settle(payment_id)
        payment = side.state(payment_id)
        assert payment.card == ("reversed" if answer.approved else "declined")
        assert (payment_id in side.state(account_id).holds) == answer.approved


# -- dead


@pytest.mark.parametrize("point", FAILPOINTS)
def test_a_gateway_that_dies_leaves_a_payment_that_ends(side: WriteSide, point: str) -> None:
    account_id, card = side.account()
    key = uuid4().hex
    process = a_gateway(side, asks(card, 1_000, key), failpoint=point, authorization_deadline_ms=700)
    process.wait(20)
    assert process.returncode == -signal.SIGKILL, f"it never came by {point}"
    payment_id = ids.network_payment_id(key)
    if side.state(payment_id) is None:
        assert side.rows("SELECT FROM sagas WHERE saga_id = %s", payment_id) == []
        return
    side.deliver(payment_id)
    must_have_ended(side, payment_id, account_id, ("declined",))
    assert not side.gateway().authorize(authorization(card, 1_000, key)).approved


def test_what_waited_behind_a_dead_gateways_lease_is_taken_with_its_timeout(side: WriteSide) -> None:
    account_id, card = side.account()
    key = uuid4().hex
    process = a_gateway(side, asks(card, 1_000, key), failpoint="gateway.after_hold", authorization_deadline_ms=2_000)
    process.wait(20)
    payment_id = ids.network_payment_id(key)
    side.gateway().messages.reverse(payment_id, "r1", "test")
    side.deliver(payment_id)
    pending = "SELECT version FROM saga_inbox WHERE saga_id = %s AND state = 'pending' ORDER BY 1"
    assert side.rows(pending, payment_id) == [(2,), (3,)]
    until(lambda: fired(side, payment_id), "the lease's end")
    assert side.rows(pending, payment_id) == []
    must_have_ended(side, payment_id, account_id, ("declined",))


# -- frozen


def test_a_gateway_frozen_past_its_deadline_and_thawed_approves_nothing_late(side: WriteSide) -> None:
    """It is frozen inside the transaction that would approve, holding the rows of account, payment and saga."""
    account_id, card = side.account()
    key = uuid4().hex
    payment_id = ids.network_payment_id(key)
    held = side.lock(account_id)
    process = a_gateway(side, asks(card, 1_000, key), authorization_deadline_ms=1_500)
    try:
        until(lambda: waits_for_a_lock(side), "it")
        process.send_signal(signal.SIGSTOP)
        held.rollback()
        time.sleep(2)
        rival = side.gateway(1_000).authorize(authorization(card, 1_000))
        assert rival.approved, "a frozen process holds no rival up for longer than its own deadline"
    finally:
        held.close()
        process.send_signal(signal.SIGCONT)
    told = json.loads(process.communicate(timeout=20)[0])
    assert not told.get("approved")
    if side.state(payment_id) is not None:
        must_have_ended(side, payment_id, account_id, ("declined",))


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


def test_an_account_that_is_taken_between_the_hold_and_the_answer_is_answered_in_time_too(side: WriteSide) -> None:
    account_id, card = side.account()
    gateway, request = side.gateway(900), authorization(card, 1_000)
    payment_id = ids.network_payment_id(request.idempotency_key)
    before = gateway._drive
    taken: list[Any] = []

    def drive(*args: Any) -> Any:
        taken.append(side.lock(account_id))
        return before(*args)

    gateway._drive = drive  # type: ignore[method-assign]
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
    early = gateway.messages.reverse_early(request.idempotency_key, "r1", Opening(card, 1_000, "EUR"), "test")

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
