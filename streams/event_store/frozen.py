"""A state as JSON values and back, as its class says it: frozen dataclasses of ids, words, integers, times, sets, mappings and each other.

Integers are base-10 text (a token amount fits no JSON number). A mapping is a list of pairs: in its order where it has one, else sorted.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()


PLAIN: Mapping[Any, tuple[Convert, Convert]] = {
    str: (_same, _same),
    bool: (_same, _same),
    int: (str, int),
    UUID: (str, UUID),
    datetime: (_time, datetime.fromisoformat),
}
"""Type -> (into JSON, and back)."""


def to_plain(value: Any) -> Any:
    """A frozen dataclass as JSON values. Raises TypeError for a field that has no row here."""
    return _plan(type(value))[0](value)


def from_plain(cls: type[Any], plain: Any) -> Any:
    """The inverse of `to_plain`. Raises KeyError, TypeError or ValueError for what is no such state."""
    return _plan(cls)[1](plain)


def _plan_of(hint: Any) -> tuple[Convert, Convert]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if origin in (types.UnionType, typing.Union):
        return _optional([each for each in arguments if each is not type(None)], len(arguments))
    if origin in (frozenset, tuple):
        return _many(origin, arguments)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(origin, *map(_plan, arguments))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return (lambda value: value.value), hint
    if dataclasses.is_dataclass(hint):
        return _record(hint)
    raise TypeError(f"a state cannot hold {hint}: streams/event_store/frozen.py has no row for it")


_plan: Callable[[Any], tuple[Convert, Convert]] = cache(_plan_of)


def _optional(inner: list[Any], count: int) -> tuple[Convert, Convert]:
    if len(inner) != 1 or count != 2:
        raise TypeError(f"a state's field is one type, or that or None; not {inner}")
    into, back = _plan(inner[0])
    return (lambda value: None if value is None else into(value)), (lambda told: None if told is None else back(told))


def _many(origin: type[Any], arguments: tuple[Any, ...]) -> tuple[Convert, Convert]:
    if origin is tuple and arguments[1:] != (...,):
        raise TypeError(f"a state's tuple is one of any length: tuple[X, ...], not {arguments}")
    into, back = _plan(arguments[0])
    arrange: Convert = sorted if origin is frozenset else list
    return (lambda value: arrange(map(into, value))), (lambda told: origin(map(back, told)))


def _mapping(origin: Any, key: tuple[Convert, Convert], value: tuple[Convert, Convert]) -> tuple[Convert, Convert]:
    ordered, make = origin is Mapping, MappingProxyType if origin is Mapping else origin

    def into(mapping: Any) -> Any:
        pairs = [[key[0](name), value[0](each)] for name, each in mapping.items()]
        return pairs if ordered else sorted(pairs, key=lambda pair: str(pair[0]))

    def back(told: Any) -> Any:
        return make({key[1](name): value[1](each) for name, each in told})

    return into, back


def _record(cls: Any) -> tuple[Convert, Convert]:
    found = typing.get_type_hints(cls)
    plans = [(each.name, *_plan(found[each.name])) for each in dataclasses.fields(cls)]

    def into(value: Any) -> Any:
        return {name: convert(getattr(value, name)) for name, convert, _ in plans}

    def back(told: Any) -> Any:
        if told.keys() != {name for name, _, _ in plans}:
            raise ValueError(f"not the fields of {cls.__name__}: {sorted(told)}")
        return cls(**{name: convert(told[name]) for name, _, convert in plans})

    return into, back
