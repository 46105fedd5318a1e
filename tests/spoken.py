"""Any value of any message, of today's classes and of any Avro schema ever released: what the tests of the vocabulary draw from."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import avro.io
import avro.schema
from hypothesis import strategies as st

import schemas.messages  # noqa: F401  (fills the vocabulary)
from schemas.definition import Message, Raw, hints, optional

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    UUID: st.uuids(),
    int: st.integers(-(2**63), 2**63 - 1),
    Raw: st.integers(0, 2**256 - 1),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}
DATUMS: dict[str, st.SearchStrategy[Any]] = {
    '"string"': st.text(max_size=20),
    '"long"': VALUES[int],
    '"boolean"': st.booleans(),
    '"null"': st.none(),
    '{"logicalType": "uuid", "type": "string"}': st.uuids().map(str),
    '{"logicalType": "timestamp-micros", "type": "long"}': st.integers(0, 2**52),
}
AMOUNT = st.integers(0, 2**256 - 1).map(str)


def messages(cls: type[Message]) -> st.SearchStrategy[Message]:
    """Any value of a message type."""

    def of(hint: Any) -> st.SearchStrategy[Any]:
        inner, nullable = optional(hint)
        return st.none() | VALUES[inner] if nullable else VALUES[inner]

    return st.builds(cls, **{name: of(hint) for name, hint in hints(cls).items()})


def datums(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any record of an Avro schema, in plain values (an id as text, a time as microseconds, an amount in base 10)."""

    def of(name: str, avro: Any) -> st.SearchStrategy[Any]:
        if isinstance(avro, list):
            return st.one_of([of(name, each) for each in avro])
        if avro == "string" and name.endswith("_raw"):
            return AMOUNT
        return DATUMS[json.dumps(avro, sort_keys=True)]

    return st.fixed_dictionaries({each["name"]: of(each["name"], each["type"]) for each in schema["fields"]})


def as_written(value: Message) -> dict[str, Any]:
    """What the plain Avro types hold: uuids and amounts as text, times as microseconds."""
    return {name: _plain(each) for name, each in value.__dict__.items()} | {
        name: str(each)
        for name, each in value.__dict__.items()
        if each is not None and optional(hints(type(value))[name])[0] is Raw
    }


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    return value


def apache_bytes(schema: dict[str, Any], datum: dict[str, Any]) -> bytes:
    """The record as Apache's own implementation writes it, without a frame."""
    out = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write(datum, avro.io.BinaryEncoder(out))
    return out.getvalue()
