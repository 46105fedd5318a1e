"""What is hashed and what is sent to PostgreSQL: the fast way says exactly what the slow one does."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from schemas.definition import MESSAGES, Message, to_json
from streams.event_store import arrays
from streams.event_store.canonical import canonical, canonical_of_ours
from tests.spoken import messages

SAFE = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | TEXT
VALUES: Any = st.recursive(
    SCALARS, lambda each: st.lists(each, max_size=4) | st.dictionaries(TEXT, each, max_size=6), max_leaves=20
)


@given(st.one_of([messages(cls) for cls in MESSAGES.values()]), st.integers(1, SAFE))
def test_what_our_classes_say_need_not_be_looked_through(message: Message, version: int) -> None:
    told: Any = {"version": version, "payload": to_json(message), "metadata": {"actor": "test"}}
    try:
        expected = rfc8785.dumps(told)
    except rfc8785.CanonicalizationError as error:
        with pytest.raises(type(error)):
            canonical_of_ours(told)
    else:
        assert canonical_of_ours(told) == expected


@given(VALUES)
def test_the_fast_writer_writes_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [1.5, {"a": [1e21]}, {"": {"a": 0.0}}, {"\u20ac": 1, "\U0001f600": 2, "\ufb33": 3}, '\x00\x1f\x7f\u2028\\"/\b'],
)
def test_what_the_fast_writer_would_say_otherwise_is_written_by_the_book(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [2**53, [1, {"a": 2**53}], {"a": [-(2**53)]}, "\ud800", {"a": float("nan")}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
        canonical(value)


@given(st.lists(VALUES, max_size=4))
def test_documents_come_out_of_their_text_as_they_went_in(values: list[Any]) -> None:
    assert json.loads(arrays.documents(values)) == values


@given(st.lists(TEXT, max_size=4))
def test_texts_come_out_of_an_array_as_they_went_in(values: list[str]) -> None:
    assert elements(arrays.texts(values)) == values


def elements(literal: str) -> list[str]:
    """The elements of an array literal of quoted elements, by PostgreSQL's rule: a backslash takes the next character as it is."""
    assert (literal[0], literal[-1]) == ("{", "}")
    found, quoted, rest = [], False, iter(literal[1:-1])
    for each in rest:
        if each == '"':
            quoted = not quoted
            found += [""] if quoted else []
        elif quoted:
            found[-1] += next(rest) if each == "\\" else each
        else:
            assert each == ","
    return found
