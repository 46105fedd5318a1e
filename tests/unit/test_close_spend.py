"""A spend by the holder's own hand that a reorg dropped is closed by a person: what it reserved is free. Mined after all, it counts."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.explain.sentences import sentence
from schemas.definition import Raw, to_json
from schemas.messages import account_events as on_account
from schemas.messages import payment_events as on
from streams.domain.chain import facts
from streams.domain.chain.leg_decisions import not_closed
from streams.sagas.authorization import PARKED, PATIENCE
from tests.given import (
    AUTHORIZE,
    CENT,
    CLOSE_SPEND,
    DECLINE,
    PAYMENT,
    SCREEN,
    SPEND,
    Streams,
    approved,
    block,
    names,
    opened,
    seen,
    transfer,
)
from tests.network_says import COLLECT, capture
from tests.unit.test_saga import AUTHORIZED, DECLINED, FOREIGN, PASSED, REFUSED, SEEN, SETTLED, UNSEEN, Told

AGAIN = facts.SeeTransfer(transfer(block=block(14)), again=True)
CLOSED = on.LegEndedUnpaid(
    payment_id=PAYMENT, leg_id=SPEND, kind="spend", account_id=CLOSE_SPEND.account_id, amount_raw=Raw(1_000 * CENT), decimals=18,
    reason="closed", because=CLOSE_SPEND.because, closed_by="ada", due_raw=Raw(0),
)  # fmt: skip


def foreign(*answered: Any) -> Streams:
    """Ten euros were spent by the holder's own hand, and answered so."""
    return opened().given(seen(transfer()), *answered)


def gone(*answered: Any) -> Streams:
    return foreign(*answered).given(facts.UnseeTransfer(transfer()))


@pytest.mark.parametrize("answered", [(SCREEN, AUTHORIZE), (DECLINE,), ()])
def test_the_debit_is_given_back_and_the_stream_says_who_decided_it_and_why(answered: tuple[Any, ...]) -> None:
    streams = gone(*answered)
    before = opened().spendable_cents()
    assert streams.spendable_cents() == before - 1_000
    ended, given_back = streams.when(CLOSE_SPEND)
    assert ended == CLOSED
    assert isinstance(given_back, on_account.TransferEnded)
    assert (given_back.reason, given_back.leg_id, given_back.amount_raw) == ("closed", SPEND, 1_000 * CENT)
    assert streams.spendable_cents() == before and not streams.customer.debits
    payment = streams.payment
    assert (payment.due_raw, payment.receivable_raw, payment.owed_back_raw) == (0, 0, 0)
    assert streams.when(CLOSE_SPEND) == [] and not_closed(payment) is None
    assert streams.when(COLLECT) == [], "nobody owes what nobody took"
    assert "ada" in (said := str(sentence("LegEndedUnpaid", to_json(ended)))) and CLOSE_SPEND.because in said


@pytest.mark.parametrize(("answered", "owed_back"), [((SCREEN, AUTHORIZE), 0), ((DECLINE,), 1_000)])
def test_mined_after_all_it_counts_as_if_it_had_never_been_closed(answered: tuple[Any, ...], owed_back: int) -> None:
    streams = gone(*answered).given(CLOSE_SPEND)
    events = streams.when(AGAIN)
    assert names(events) == ["TransferSeen", "LegSeen"]
    assert streams.customer.debits_raw == 1_000 * CENT
    never = foreign(*answered)
    assert streams.payment.due_raw == never.payment.due_raw
    assert streams.payment.owed_back_raw == never.payment.owed_back_raw == owed_back * CENT
    assert names(streams.when(facts.FinalizeTransfer(AGAIN.transfer))) == ["TransferFinalized", "LegSettled"]
    assert not_closed(streams.payment) == "its spend stands in a block"
    assert streams.when(CLOSE_SPEND) == []


def test_what_the_network_posted_on_it_is_owed_until_it_is_mined_after_all() -> None:
    streams = gone(SCREEN, AUTHORIZE).given(capture())
    assert names(streams.when(CLOSE_SPEND)) == ["LegEndedUnpaid", "ReceivableOpened", "TransferEnded"]
    assert streams.payment.receivable_raw == 1_000 * CENT
    assert names(streams.when(AGAIN)) == ["TransferSeen", "LegSeen", "ReceivableReduced"]
    assert (streams.payment.receivable_raw, streams.payment.owed_back_raw) == (0, 0)


@pytest.mark.parametrize(
    ("streams", "why"),
    [
        (approved(), "its spend is ours"),
        (approved().given(seen(transfer()), facts.UnseeTransfer(transfer())), "its spend is ours"),
        (foreign(), "its spend stands in a block"),
        (foreign(SCREEN, AUTHORIZE).given(facts.FinalizeTransfer(transfer())), "its spend stands in a block"),
    ],
)
def test_what_is_ours_or_stands_in_a_block_is_not_closed(streams: Streams, why: str) -> None:
    assert streams.when(CLOSE_SPEND) == []
    assert str(not_closed(streams.payment)).startswith(why)


STORIES = ((*FOREIGN, PASSED, AUTHORIZED, UNSEEN), (*FOREIGN, REFUSED, DECLINED, UNSEEN))


@pytest.mark.parametrize("story", STORIES)
def test_the_saga_waits_for_nobody_then_parked_or_not(story: tuple[Any, ...]) -> None:
    for before in (story, (*story, PATIENCE)):
        told = Told(*before, CLOSED)
        assert (told.saga.state, told.timeouts) == ("unmoved", set())


@pytest.mark.parametrize(("story", "due", "then"), [(STORIES[0], 1_000, "settled"), (STORIES[1], 0, "refunding")])
def test_the_saga_goes_on_when_it_is_mined_after_all(story: tuple[Any, ...], due: int, then: str) -> None:
    again = on.LegSeen(**{**SEEN.__dict__, "due_raw": Raw(due * CENT)})
    assert Told(*story, PATIENCE).saga.state == PARKED
    assert Told(*story, PATIENCE, CLOSED, again, SETTLED).saga.state == then
