"""A value with other fields is what `dataclasses.replace` makes of it, for every state there is; and a message is read as it was told."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest

from schemas.definition import MESSAGES, from_json, to_json
from schemas.messages.account_events import AccountRegistered
from streams.domain import values
from tests import golden

ROOMS = ("streams.domain.", "streams.sagas.", "streams.projections.")
ROOT = Path(values.__file__).parents[2]
USERS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "streams").rglob("*.py")
    if "from streams.domain.values import replace" in path.read_text()
)


@dataclasses.dataclass(frozen=True)
class Table:
    number: int
    guests: int = 0


def test_a_value_with_another_field_is_what_the_book_says() -> None:
    before = Table(number=7, guests=2)
    assert values.replace(before, guests=4) == dataclasses.replace(before, guests=4) == Table(7, 4)
    assert values.replace(before) == before == Table(7, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        values.replace(before, guests=4).guests = 5  # type: ignore[misc]


def test_a_field_that_the_value_has_not_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="Table has no field gests"):
        values.replace(Table(1), gests=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("module", USERS)
def test_whatever_is_changed_so_is_no_more_than_its_fields(module: str) -> None:
    there = vars(importlib.import_module(module)).values()
    for each in (each for each in there if isinstance(each, type) and dataclasses.is_dataclass(each)):
        if not each.__module__.startswith(ROOMS):
            continue
        assert not hasattr(each, "__post_init__"), each
        assert all(field.init for field in dataclasses.fields(each)), each


def test_the_states_are_among_them() -> None:
    assert {"streams.domain.account", "streams.domain.payment", "streams.domain.person", "streams.sagas.saga"} <= set(
        USERS
    )


def test_a_payload_that_says_all_is_the_message_that_its_class_makes() -> None:
    """However it is read: as it stands, or one field by one."""
    for event in (each for events in golden.streams(1).values() for each in events):
        cls: Any = MESSAGES[event.type]
        told = to_json(event.message())
        whole, one_by_one = from_json(cls, told), from_json(cls, told | {"unknown_before_or_since": 1})
        assert whole == one_by_one and hash(whole) == hash(one_by_one) and repr(whole) == repr(one_by_one)
        assert to_json(whole) == told
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(whole, dataclasses.fields(cls)[0].name, None)


def test_a_payload_that_lacks_a_field_takes_its_default_or_is_refused() -> None:
    event = next(
        each for events in golden.streams(1).values() for each in events if each.type == AccountRegistered.__name__
    )
    told = to_json(event.message())
    assert from_json(AccountRegistered, {name: value for name, value in told.items() if value is not None}) == (
        event.message()
    )
    with pytest.raises(TypeError, match="wallet"):
        from_json(AccountRegistered, {name: value for name, value in told.items() if name != "wallet"})
