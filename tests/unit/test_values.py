"""A value with other fields is what `dataclasses.replace` makes of it, for every state there is; and a message is read as it was told."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import Raw

from schemas.definition import MESSAGES, from_json, text_reader, to_json
from schemas.messages.account_events import AccountRegistered
from schemas.upcasters import message_of_text
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
    assert {
        "streams.domain.states.account",
        "streams.domain.states.payment",
        "streams.domain.person",
        "streams.sagas.saga",
    } <= set(USERS)


def test_a_payload_is_the_message_that_its_class_makes_whether_it_comes_as_values_or_as_text() -> None:
    for event in (each for events in golden.streams(1).values() for each in events):
        cls, told = MESSAGES[event.type], to_json(event.message())
        for made in (from_json(cls, told), message_of_text(event.type, cls.schema_version, Raw(orjson.dumps(told)))):
            meant = cls(**vars(event.message()))
            assert made == meant and hash(made) == hash(meant) and repr(made) == repr(meant)
            assert to_json(made) == told
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(made, next(iter(told)), None)


def registered() -> dict[str, Any]:
    return next(
        to_json(each.message())
        for events in golden.streams(1).values()
        for each in events
        if each.type == AccountRegistered.__name__
    )


def test_an_amount_of_any_size_is_read_as_it_was_written() -> None:
    for amount in (0, 2**63, 2**64 - 1, 2**64, 2**256 - 1):
        told = registered() | {"opening_balance_raw": str(amount)}
        assert from_json(AccountRegistered, told).opening_balance_raw == amount
        assert text_reader(AccountRegistered)(orjson.dumps(told)).opening_balance_raw == amount


@pytest.mark.parametrize("amount", ["1.5", "0x10", "", " 1", "seven", None, [], True, 1.5])
def test_what_is_no_amount_is_refused_by_the_name_of_its_field(amount: Any) -> None:
    told = registered() | {"opening_balance_raw": amount}
    with pytest.raises(ValueError, match="opening_balance_raw"):
        from_json(AccountRegistered, told)
    with pytest.raises(ValueError, match="opening_balance_raw"):
        text_reader(AccountRegistered)(orjson.dumps(told))


def test_a_payload_that_lacks_a_field_takes_its_default_or_is_refused() -> None:
    told = registered()
    whole = from_json(AccountRegistered, told)
    assert from_json(AccountRegistered, {name: value for name, value in told.items() if value is not None}) == whole
    with pytest.raises(ValueError, match="wallet"):
        from_json(AccountRegistered, {name: value for name, value in told.items() if name != "wallet"})
