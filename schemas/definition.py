"""How a message is written down: a frozen dataclass whose fields carry their meaning, and the Avro schema that follows from it.

`payriver schemas write` (make schemas) writes the .avsc files from these classes; `make check` fails when they differ.
Python type -> Avro type: str -> string, UUID -> string/uuid, int -> long, Raw -> string (base-10, uint256 does not fit a long),
bool -> boolean, datetime -> long/timestamp-micros, X | None -> ["null", X] with default null.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, NewType, TypeVar, dataclass_transform
from uuid import UUID

import msgspec

from infra.errors import UnknownType

NAMESPACE = "payriver"

Raw = NewType("Raw", int)
"""A token amount in raw units (wei of the token): an int in Python, a base-10 string on the wire, numeric(78,0) in SQL."""

T = TypeVar("T")
M = TypeVar("M", bound="Message")
MESSAGES: dict[str, type[Message]] = {}


class Message:
    """What every event and command is: a frozen dataclass with a topic, and a key field that names its stream.

    `schema_version` counts the shapes that a message has had: raised by one in the release in which its fields, or what
    they mean, are others than before. It is stored with every event and told in the Avro schema (infra/decisions/0013).
    """

    topic: typing.ClassVar[str]
    key_field: typing.ClassVar[str]
    schema_version: typing.ClassVar[int]

    @property
    def key(self) -> UUID:
        """The stream that the message belongs to; the Kafka key."""
        value: UUID = getattr(self, self.key_field)
        return value


def f(doc: str, *, business: bool = True, since: int = 1, **kwargs: Any) -> Any:
    """A field and its meaning. `business=False`: a time or a verdict, not compared when a command comes a second time.

    `since`: the schema version that brought it; a command's repeat agrees with a first one of before, where it says nothing new.
    """
    return field(metadata={"doc": doc, "business": business, "since": since}, **kwargs)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(f,))
def message(topic: str, key_field: str, schema_version: int = 1) -> Callable[[type[T]], type[T]]:
    """Make a class a message of `topic`, keyed by `key_field`, and known by its name."""

    def wrap(cls: type[T]) -> type[T]:
        made: Any = dataclass(frozen=True, kw_only=True, slots=False)(cls)
        made.topic, made.key_field, made.schema_version = topic, key_field, schema_version
        MESSAGES[made.__name__] = made
        return typing.cast(type[T], made)

    return wrap


def message_class(name: str) -> type[Message]:
    """The class of a message type; raises UnknownType."""
    try:
        return MESSAGES[name]
    except KeyError:
        raise UnknownType(
            f"message type {name!r} is not in the vocabulary (schemas/); upgrade, or look where it comes from"
        ) from None


def hints(cls: type) -> dict[str, Any]:
    """A message's fields and their types, in order."""
    return _hints(cls)


@cache
def _hints(cls: type) -> dict[str, Any]:
    resolved = typing.get_type_hints(cls)
    return {each.name: resolved[each.name] for each in dataclasses.fields(cls)}


def optional(hint: Any) -> tuple[Any, bool]:
    """`X | None` -> (X, True); X -> (X, False)."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        inner = [each for each in typing.get_args(hint) if each is not type(None)]
        return inner[0], True
    return hint, False


AVRO: dict[Any, Any] = {
    str: "string",
    UUID: {"type": "string", "logicalType": "uuid"},
    int: "long",
    Raw: "string",
    bool: "boolean",
    datetime: {"type": "long", "logicalType": "timestamp-micros"},
}


def avro_schema(cls: type[Message]) -> dict[str, Any]:
    """The Avro record of a message, a document of its own."""
    fields = []
    for each in dataclasses.fields(cls):  # type: ignore[arg-type]
        hint, nullable = optional(hints(cls)[each.name])
        avro: Any = AVRO[hint]
        entry = {"name": each.name, "type": ["null", avro] if nullable else avro, "doc": each.metadata["doc"]}
        if nullable:
            entry["default"] = None
        elif each.default is not dataclasses.MISSING:
            entry["default"] = str(each.default) if hint is Raw else each.default
        fields.append(entry)
    namespace = f"{NAMESPACE}.{cls.topic}"
    return {
        "type": "record",
        "name": cls.__name__,
        "namespace": namespace,
        "doc": " ".join((cls.__doc__ or "").split()),
        "schema_version": cls.schema_version,
        "fields": fields,
    }


TO_JSON: dict[Any, Callable[[Any], Any]] = {
    UUID: str,
    Raw: str,
    datetime: lambda value: value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
}


@cache
def _converters(cls: type) -> dict[str, Callable[[Any], Any] | None]:
    """What is done to each field of a class, found out once."""
    return {name: TO_JSON.get(optional(hint)[0]) for name, hint in hints(cls).items()}


def to_json(value: Message) -> dict[str, Any]:
    """A message as JSON values: what is stored, hashed and shown. Amounts and ids are strings, times RFC 3339 in UTC."""
    found, cls = value.__dict__, typing.cast(type, type(value))
    return {
        name: found[name] if convert is None or found[name] is None else convert(found[name])
        for name, convert in _converters(cls).items()
    }


def from_json(cls: type[M], payload: dict[str, Any]) -> M:
    """The inverse of `to_json`; fields added since the payload was written take their defaults. Raises ValueError, which names the field."""
    return msgspec.convert(payload, cls, strict=False)  # not strict: an amount is text there


def text_reader(cls: type[M]) -> Callable[[bytes | msgspec.Raw], M]:
    """`from_json` of a payload as JSON text: whole streams are read so, and no dictionary is made of what becomes a message."""
    return msgspec.json.Decoder(cls, strict=False).decode
