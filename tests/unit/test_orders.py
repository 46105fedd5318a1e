"""What of an order counts, told the same for ever: answers of years ago are held against it, and the ids of facts follow from it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.states.allowance import Allowance
from streams.orders import business_of
from tests.given import CUSTOMER, PAYMENT, SPEND, block, transfer

FACTS = (
    facts.SeeTransfer(transfer()),
    facts.SeeTransfer(
        transfer(direction="in", kind="deposit", payment_id=None, leg_id=None, leg_kind=None), again=True
    ),
    facts.FinalizeTransfer(transfer()),
    facts.LoseTransfer(CUSTOMER, SPEND, SPEND),
    facts.FinalizeInvalidation(PAYMENT, CUSTOMER, SPEND, SPEND, "0xtx", block(12)),
    facts.ConsumeAllowance(CUSTOMER, 2**128, block(12)),
    facts.ObserveAllowance(CUSTOMER, "set", Allowance(1, 2, 3, 86_400, 5), block(12)),
    facts.QueueWithdrawal(CUSTOMER, 7, "0xqueued", "0xtarget", "0xtx", block(12)),
)


def by_the_book(value: Any) -> Any:
    """Every field, however deep: text, truth and nothing as they are, all else as text."""
    if isinstance(value, dict):
        return {name: by_the_book(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool) else str(value)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_is_told_by_all_of_its_fields_in_their_order(fact: Any) -> None:
    told = business_of(fact)
    assert told == by_the_book(asdict(fact))
    assert list(told) == list(asdict(fact))


@given(st.lists(st.one_of(st.text(), st.integers(), st.uuids())))
def test_a_derived_id_is_the_uuid5_of_its_parts(parts: list[str | int | UUID]) -> None:
    assert ids.derived(*parts) == uuid5(ids.ROOT, "/".join(map(str, parts)))
