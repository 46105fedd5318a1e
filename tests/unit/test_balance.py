"""What an account may spend, as shown: the domain's own arithmetic at the newest block, and what would stand in an approval's way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from api.answers.balance import balance
from api.answers.chain_view import Seen
from streams.projections.balances import BalanceRow

CENT, NOON = 10**16, 1_772_366_400
ROW = BalanceRow(
    account_id=UUID(int=1),
    kind="customer",
    wallet="0xsafe",
    token="0xtoken",
    currency="EUR",
    decimals=18,
    card_token="card",
    card_state="active",
    integrity="Ok",
    queue_empty=True,
    final_raw=10_000 * CENT + CENT - 1,
    pending_in_raw=700 * CENT,
    pending_out_raw=200 * CENT,
    unseen_spend_raw=0,
    held_raw=100 * CENT,
    allowance={
        "balance": str(1_000 * CENT),
        "max_refill": str(5_000 * CENT),
        "refill": str(500 * CENT),
        "period_seconds": 3600,
        "timestamp": NOON,
    },
    pending_allowances=[],
    card_limits={},
    blocks={"mccs": [], "countries": []},
    block_number=41_000,
    version=7,
    changed_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)


def at(seconds: float, age: float = 1.0) -> Seen:
    return Seen(41_005, NOON + int(seconds), age)


@pytest.mark.parametrize(
    ("seconds", "spendable_minor"), [(0, 900), (3599, 900), (3600, 1400), (2 * 3600, 1900), (365 * 24 * 3600, 4900)]
)
def test_what_may_be_spent_grows_with_the_allowance_as_blocks_pass(seconds: int, spendable_minor: int) -> None:
    shown = balance(ROW, at(seconds), 60)
    assert (shown.spendable_minor, shown.block_time) == (spendable_minor, NOON + seconds)


def test_funds_bound_it_where_the_allowance_does_not() -> None:
    poor = replace(ROW, final_raw=650 * CENT)
    assert balance(poor, at(0), 60).spendable_minor == 350  # less what is pending, less what is held


def test_cents_are_rounded_down_and_raw_units_are_exact() -> None:
    shown = balance(ROW, at(0), 60)
    assert (shown.total_raw, shown.total_minor) == (str(10_000 * CENT + CENT - 1), 10_000)
    assert (shown.pending_minor, shown.pending_in_minor, shown.held_minor) == (200, 700, 100)


def test_the_next_refill_is_the_beginning_of_the_next_period() -> None:
    shown = balance(ROW, at(4000), 60)
    assert shown.allowance.next_refill_at == datetime.fromtimestamp(NOON + 7200, UTC)
    never = replace(ROW, allowance={**ROW.allowance, "period_seconds": 0})
    assert balance(never, at(4000), 60).allowance.next_refill_at is None


def test_a_lower_limit_that_is_not_final_is_shown_and_a_higher_one_is_not() -> None:
    def with_pending(cents: int) -> BalanceRow:
        pending = {"block_number": 41_001, "allowance": {**ROW.allowance, "balance": str(cents * CENT)}, "spends": []}
        return replace(ROW, pending_allowances=[pending])

    for cents, counts in ((300, 300), (4_000, 1_000)):
        shown = balance(with_pending(cents), at(0), 60)
        assert (shown.allowance.balance_raw, shown.spendable_minor) == (str(counts * CENT), counts - 100)


@pytest.mark.parametrize(
    ("row", "seen", "word"),
    [
        (ROW, at(0), None),
        (ROW, None, "chain_stale"),
        (ROW, at(0, age=61), "chain_stale"),
        (replace(ROW, integrity="DelayMisconfigured"), at(0), "account_integrity"),
        (replace(ROW, queue_empty=False), at(0), "withdrawal_pending"),
        (replace(ROW, card_state="frozen"), at(0), "card_frozen"),
    ],
)
def test_what_stands_in_the_way_is_named_as_a_refusal_would_name_it(
    row: BalanceRow, seen: Seen | None, word: str | None
) -> None:
    assert balance(row, seen, 60).blocked_by == word


def test_where_no_block_is_known_nothing_accrues() -> None:
    shown = balance(ROW, None, 60)
    assert (shown.spendable_minor, shown.block_time) == (900, NOON)
