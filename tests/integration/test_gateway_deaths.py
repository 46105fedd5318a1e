"""A gateway that dies or freezes anywhere: its payment ends, and nothing is approved late."""

from __future__ import annotations

import json
import signal
import time
from uuid import uuid4

import pytest

from streams.domain import ids
from tests.integration.gateway_side import a_gateway, asks, fired, must_have_ended, waits_for_a_lock
from tests.integration.write_side import WriteSide, authorization
from tests.waiting import until

FAILPOINTS = (
    "gateway.before_hold_commit", "gateway.after_hold", "gateway.between_steps", "gateway.between_steps:2",
    "gateway.between_steps:3", "gateway.before_answer_commit", "gateway.after_rows", "gateway.after_rows:2",
)  # fmt: skip


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
    assert side.rows(pending, payment_id) == [(2,), (3,), (4,)], "held, declined, the reversal acknowledged"
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
