"""A leaf is canonical JSON whatever an event holds, by the fast way and by the book; what has no canonical form is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from streams.audit_log.leaf import NoLeaf, leaf, moment

ID = UUID("0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11")
AT = datetime(2026, 3, 1, 12, 0, 0, 120, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
values = st.recursive(
    st.none() | st.booleans() | texts | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def row(payload: Any, **metadata: Any) -> tuple[Any, ...]:
    return (7, ID, ID, 1, "payment", "PaymentExpired", 1, payload, metadata, AT, "123", b"\x01" * 32)


@given(st.dictionaries(texts, values, max_size=5))
def test_a_leaf_is_in_canonical_form_whatever_the_event_holds(payload: dict[str, Any]) -> None:
    text = leaf(row(payload, actor="test"))
    assert rfc8785.dumps(json.loads(text)) == text
    assert json.loads(text)["payload"] == payload


def test_a_leaf_tells_the_whole_row() -> None:
    told = json.loads(leaf(row({"amount_minor": 5}, actor="test")))
    assert told == {
        "category": "payment",
        "event_id": str(ID),
        "hash": "01" * 32,
        "metadata": {"actor": "test"},
        "payload": {"amount_minor": 5},
        "position": 7,
        "recorded_at": "2026-03-01T12:00:00.000120Z",
        "schema_version": 1,
        "stream_id": str(ID),
        "transaction_id": "123",
        "type": "PaymentExpired",
        "version": 1,
    }


def test_a_time_is_the_same_in_every_zone() -> None:
    assert moment(AT.astimezone(timezone(timedelta(hours=5)))) == moment(AT) == "2026-03-01T12:00:00.000120Z"
    assert moment(datetime(900, 1, 2, tzinfo=UTC)) == "0900-01-02T00:00:00.000000Z", (
        "of one length, and so compared as text"
    )


@pytest.mark.parametrize("payload", [{"amount": 2**53}, {"amount": float("inf")}, {"amount": float("nan")}])
def test_what_has_no_canonical_form_is_refused_with_its_position(payload: dict[str, Any]) -> None:
    with pytest.raises(NoLeaf, match="position 7"):
        leaf(row(payload))
