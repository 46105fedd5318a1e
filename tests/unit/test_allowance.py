"""The allowance's arithmetic: what the contract would say, worked out period by period."""

from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st

from connectors.chain.accounts.reading import stored_allowance
from connectors.chain.contracts.events import SetAllowance
from connectors.verify.money.balances import Limit
from streams.domain.states.allowance import UINT128_MAX, Allowance

AMOUNTS = st.integers(0, 2**90)  # however many periods of TIMES pass, uint128 holds it
TIMES = st.integers(0, 2**33)

allowances = st.builds(
    Allowance,
    balance=AMOUNTS,
    max_refill=AMOUNTS,
    refill=AMOUNTS,
    period_seconds=st.integers(0, 10**6),
    timestamp=TIMES,
)


def period_by_period(allowance: Allowance, now: int) -> Allowance:
    """The slow way: walk through every period that has passed."""
    balance, timestamp = allowance.balance, allowance.timestamp
    while allowance.period_seconds and now >= timestamp + allowance.period_seconds:
        timestamp += allowance.period_seconds
        if balance < allowance.max_refill:
            balance = min(balance + allowance.refill, allowance.max_refill)
    return Allowance(balance, allowance.max_refill, allowance.refill, allowance.period_seconds, timestamp)


@given(allowances, st.integers(0, 50), st.integers(0, 10**6))
def test_accrual_is_a_walk_through_the_periods(allowance: Allowance, periods: int, rest: int) -> None:
    now = allowance.timestamp + periods * allowance.period_seconds + rest % max(1, allowance.period_seconds)
    assert allowance.accrued(now) == period_by_period(allowance, now)


@given(allowances, TIMES, TIMES)
def test_accruing_in_two_steps_is_accruing_in_one(allowance: Allowance, first: int, second: int) -> None:
    now, later = sorted((first, second))
    assert allowance.accrued(now).accrued(later) == allowance.accrued(later)


@given(allowances, TIMES, TIMES)
def test_waiting_never_lowers_a_balance_nor_lifts_it_over_the_maximum(
    allowance: Allowance, first: int, second: int
) -> None:
    now, later = sorted((first, second))
    assert allowance.balance <= allowance.accrued(now).balance <= allowance.accrued(later).balance
    assert allowance.accrued(later).balance <= max(allowance.balance, allowance.max_refill)


@given(allowances, TIMES, AMOUNTS)
def test_a_spend_takes_its_amount_from_what_has_accrued_and_keeps_the_periods(
    allowance: Allowance, now: int, amount: int
) -> None:
    accrued = allowance.accrued(now)
    assume(amount <= accrued.balance)
    after = allowance.consumed(amount, now)
    assert after.balance == accrued.balance - amount
    assert after.timestamp == accrued.timestamp
    assert (after.max_refill, after.refill, after.period_seconds) == (
        allowance.max_refill,
        allowance.refill,
        allowance.period_seconds,
    )


@given(allowances, TIMES)
def test_the_next_refill_is_the_first_moment_at_which_something_may_be_added(allowance: Allowance, now: int) -> None:
    assume(now >= allowance.timestamp)
    when = allowance.next_refill(now)
    if allowance.period_seconds == 0 or allowance.refill == 0:
        assert when is None
        return
    assert when is not None and now < when <= now + allowance.period_seconds
    before = allowance.accrued(now)
    assert allowance.accrued(when - 1) == before
    expected = (
        before.balance
        if before.balance >= before.max_refill
        else min(before.balance + before.refill, before.max_refill)
    )
    assert allowance.accrued(when).balance == expected


def test_a_daily_limit_comes_back_whole_after_a_day() -> None:
    limit = Allowance(balance=1_000, max_refill=1_000, refill=1_000, period_seconds=86_400, timestamp=500)
    used = limit.consumed(900, 600)
    assert used.accrued(500 + 86_399).balance == 100
    assert used.accrued(500 + 86_400).balance == 1_000
    assert used.next_refill(600) == 500 + 86_400


def test_an_allowance_without_a_period_never_comes_back() -> None:
    once = Allowance(balance=50, max_refill=50, refill=50, period_seconds=0, timestamp=0).consumed(50, 10)
    assert once.accrued(2**40).balance == 0
    assert once.next_refill(10) is None


def test_a_balance_above_the_maximum_is_kept_but_not_added_to() -> None:
    rich = Allowance(balance=500, max_refill=100, refill=10, period_seconds=10, timestamp=0)
    assert rich.accrued(1_000).balance == 500
    assert rich.consumed(450, 1_000).accrued(2_000).balance == 100


@given(
    balance=st.integers(0, UINT128_MAX),
    max_refill=st.integers(0, UINT128_MAX),
    refill=st.integers(2**125, UINT128_MAX),
    periods=st.integers(1, 9),
)
@example(balance=UINT128_MAX, max_refill=UINT128_MAX, refill=UINT128_MAX, periods=1)
@example(balance=0, max_refill=UINT128_MAX, refill=UINT128_MAX, periods=1)
@example(balance=1, max_refill=UINT128_MAX, refill=UINT128_MAX, periods=1)
@example(balance=0, max_refill=7, refill=2**127, periods=2)
def test_where_a_refill_passes_uint128_the_contract_lets_nothing_through(
    balance: int, max_refill: int, refill: int, periods: int
) -> None:
    allowance = Allowance(balance, max_refill, refill, period_seconds=10, timestamp=5)
    assert allowance.accrued(14).balance == balance
    found = allowance.accrued(5 + 10 * periods).balance
    if balance >= max_refill:
        assert found == balance, "nothing is added, so nothing is too much"
    elif balance + refill * periods > UINT128_MAX:
        assert found == 0, "checked arithmetic: every spend reverts"
    else:
        assert found == min(balance + refill * periods, max_refill)


def test_where_the_next_period_passes_uint64_the_contract_lets_nothing_through() -> None:
    assert Allowance(50, 50, 50, period_seconds=2**64 - 1, timestamp=0).accrued(9).balance == 50
    assert Allowance(50, 50, 50, period_seconds=2**64 - 1, timestamp=1).accrued(9).balance == 0


def test_zeros_in_a_limit_change_stand_for_no_maximum_and_for_now() -> None:
    event = SetAllowance(
        "0x" + "00" * 32, balance_raw=7, max_refill_raw=0, refill_raw=1, period_seconds=10, timestamp=0
    )
    assert stored_allowance(event, 12_345) == Allowance(7, UINT128_MAX, 1, 10, 12_345)
    aligned = SetAllowance("0x" + "00" * 32, 7, 9, 1, 10, timestamp=99)
    assert stored_allowance(aligned, 12_345) == Allowance(7, 9, 1, 10, 99)


@given(
    balance=st.integers(0, UINT128_MAX),
    max_refill=st.integers(0, UINT128_MAX),
    refill=st.integers(0, UINT128_MAX),
    period=st.sampled_from((0, 1, 10, 2**64 - 1)),
    now=TIMES,
)
def test_verify_counts_as_the_product_does_by_rules_written_down_a_second_time(
    balance: int, max_refill: int, refill: int, period: int, now: int
) -> None:
    ours = Allowance(balance, max_refill, refill, period, timestamp=5).accrued(now)
    theirs = Limit(balance, max_refill, refill, period, timestamp=5).at(now)
    assert (ours.balance, ours.timestamp) == (theirs.balance, theirs.timestamp)
