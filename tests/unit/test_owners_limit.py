"""What an account may spend when its owner's limit changes: lower at once, higher when it is final, whatever a reorg drops."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.messages.account_events import AllowanceObserved
from streams.domain import facts
from streams.domain.allowance import Allowance
from tests.given import (
    CENT,
    CUSTOMER,
    NOON_UNIX,
    approved,
    block,
    elsewhere,
    opened,
    seen,
    transfer,
)  # fmt: skip


def limit(cents: int, number: int, cause: str = "set", **changes: int) -> facts.ObserveAllowance:
    """The owner's limit is `cents` a day from this block on."""
    raw = cents * CENT
    told = Allowance(raw, raw, raw, 86_400, block(number).time)
    return facts.ObserveAllowance(CUSTOMER, cause, replace(told, **changes), block(number))


def test_a_lower_limit_counts_when_it_is_seen() -> None:
    assert opened().given(limit(300, 11)).spendable_cents() == 300


def test_a_higher_limit_counts_when_it_is_final() -> None:
    streams = opened().given(limit(9_000, 11))
    assert streams.spendable_cents() == 8_000
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11)))
    assert streams.spendable_cents() == 9_000


def test_a_limit_that_gives_back_what_was_spent_today_counts_when_it_is_final_though_it_lowers_the_rest() -> None:
    """Setting a limit resets today's use: 1 of 80 euros left becomes 5 of 5."""
    spent = limit(8_000, 11, "consumed", balance=100 * CENT)
    streams = opened().given(spent, limit(500, 12))
    assert streams.spendable_cents() == 100
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(12)))
    assert streams.spendable_cents() == 500


def test_a_limit_whose_block_a_reorg_drops_never_counted() -> None:
    streams = opened().given(limit(9_000, 12), limit(8_000, 11, "reorg"))
    assert streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(12))) == []
    assert streams.spendable_cents() == 8_000


def test_a_limit_below_the_fork_is_still_not_final_after_the_reorg() -> None:
    streams = opened().given(limit(9_000, 11), limit(9_000, 12, "consumed", balance=8_900 * CENT))
    assert streams.spendable_cents() == 7_900
    (told,) = streams.when(limit(9_000, 11, "reorg"))
    assert isinstance(told, AllowanceObserved) and told.cause == "unspent"
    assert streams.spendable_cents() == 8_000, "the spend is given back, the raise is not final"
    streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11)))
    assert streams.spendable_cents() == 9_000


def test_a_raise_is_final_with_its_own_block_and_not_with_an_earlier_one() -> None:
    streams = opened().given(limit(9_000, 12))
    assert streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(11))) == []


def test_a_spend_uses_up_the_limit_that_counts_and_the_one_that_will() -> None:
    streams = opened().given(limit(9_000, 11))
    streams.when(facts.ConsumeAllowance(CUSTOMER, 8_600 * CENT, block(12)))
    assert streams.customer.allowance.balance == 7_600 * CENT
    assert streams.customer.raised_allowance is not None
    assert streams.customer.raised_allowance.balance == 8_600 * CENT


@given(st.lists(st.tuples(st.sampled_from(("set", "final")), st.integers(0, 20_000)), max_size=8))
def test_no_limit_that_is_not_final_ever_gives_more_than_the_final_one(taken: list[tuple[str, int]]) -> None:
    streams, final, number, pending = opened(), 8_000, 10, None
    for what, cents in taken:
        if what == "set":
            number += 1
            pending = cents
            streams.when(limit(cents, number))
        elif pending is not None:
            streams.when(facts.FinalizeAllowanceRaise(CUSTOMER, block(number)))
            final, pending = pending, None
        allowed = streams.customer.free_allowance_raw(NOON_UNIX)
        assert allowed == min(final, final if pending is None else pending) * CENT


def test_a_spend_that_vanished_still_counts_against_the_limit_that_the_reorg_gave_back() -> None:
    consumed = facts.ConsumeAllowance(CUSTOMER, 7_000 * CENT, block(11))
    streams = approved().given(seen(transfer()), consumed)
    assert streams.spendable_cents() == 7_000
    streams.given(facts.UnseeTransfer(transfer()), limit(8_000, 10, "reorg"))
    assert streams.spendable_cents() == 7_000
    streams.given(seen(elsewhere(transfer(), 12)), facts.ConsumeAllowance(CUSTOMER, 7_000 * CENT, block(12)))
    assert streams.spendable_cents() == 7_000
