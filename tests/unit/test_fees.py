"""What our transactions offer: never beyond the most, and enough more to take the old one's place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.chain.node.values import Fees
from connectors.chain.sending.fees import Bid, first_bid, higher_bid

GWEI = 10**9
FEES = st.builds(Fees, st.integers(0, 10**13), st.integers(0, 10**12))
MOST = st.integers(GWEI, 10**13)


@given(FEES, MOST)
def test_a_first_bid_holds_for_twice_the_base_fee_and_is_never_more_than_the_most(fees: Fees, most: int) -> None:
    bid = first_bid(fees, most)
    assert bid.tip_wei <= bid.max_fee_wei <= most
    assert bid.max_fee_wei in (most, 2 * fees.base_wei + fees.tip_wei)


@given(FEES, FEES, MOST)
def test_a_higher_bid_gives_a_tenth_more_of_both_or_there_is_none(before: Fees, now: Fees, most: int) -> None:
    old = first_bid(before, most)
    bid = higher_bid(old, now, most)
    if bid is None:
        assert old.max_fee_wei * 9 // 8 + 1 >= most
        return
    assert bid.tip_wei <= bid.max_fee_wei <= most
    assert bid.max_fee_wei * 10 >= old.max_fee_wei * 11
    assert bid.tip_wei * 10 >= old.tip_wei * 11 or bid.tip_wei == bid.max_fee_wei


def test_a_fee_that_rose_is_followed_at_once() -> None:
    assert higher_bid(Bid(3 * GWEI, GWEI), Fees(100 * GWEI, GWEI), 1_000 * GWEI) == Bid(
        201 * GWEI, GWEI + GWEI // 8 + 1
    )
