"""Our bytes, read by Apache's own reference implementation: an independent judge of schemas, codec and framing."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, cast

import avro.io
import avro.schema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import Undecodable
from schemas.codec import Codec
from schemas.compatibility import differences
from schemas.definition import MESSAGES, Message, avro_schema, from_json, to_json
from schemas.files import problems
from tests.spoken import as_written, messages

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IDS = {name: number for number, name in enumerate(MESSAGES, 1)}
CODEC = Codec(IDS, {IDS[name]: avro_schema(cls) for name, cls in MESSAGES.items()})


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_apache_avro_reads_what_we_wrote(name: str, data: st.DataObject) -> None:
    value = data.draw(messages(MESSAGES[name]))
    encoded = CODEC.encode(value)
    assert struct.unpack_from(">bI", encoded) == (0, IDS[name])
    schema = avro.schema.parse(json.dumps(avro_schema(MESSAGES[name])))
    read = avro.io.DatumReader(schema, schema).read(avro.io.BinaryDecoder(io.BytesIO(encoded[5:])))
    assert read == as_written(value)


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_message_is_the_same_after_bytes_and_after_json(name: str, data: st.DataObject) -> None:
    value = data.draw(messages(MESSAGES[name]))
    assert CODEC.decode(CODEC.encode(value)) == value
    assert from_json(MESSAGES[name], json.loads(json.dumps(to_json(value)))) == value


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60))
def test_bytes_that_are_no_message_are_named_and_never_crash(data: bytes) -> None:
    try:
        assert isinstance(CODEC.decode(data), Message)
    except Undecodable as error:
        assert str(error)


def test_every_field_says_what_it_means() -> None:
    for cls in MESSAGES.values():
        assert cls.__doc__ and cls.__doc__ != cls.__name__
        for each in fields(cast(Any, cls)):
            assert each.metadata["doc"].strip(), f"{cls.__name__}.{each.name} has no doc"


def test_the_schema_files_are_in_step() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda fields: fields.append({"name": "new", "type": "string"}), "without a default"),
        (lambda fields: fields.pop(1), "was removed"),
        (lambda fields: fields[0].update(type="long"), "changed its type"),
    ],
)
def test_a_change_that_would_break_a_reader_is_found_before_any_registry_is_asked(change: Any, word: str) -> None:
    old = avro_schema(MESSAGES["FundsHeld"])
    new = json.loads(json.dumps(old))
    change(new["fields"])
    assert any(word in each for each in differences(old, new))
    assert differences(old, old) == []


def test_a_field_with_a_default_may_be_added() -> None:
    old = avro_schema(MESSAGES["FundsHeld"])
    new = json.loads(json.dumps(old))
    new["fields"].append({"name": "new", "type": ["null", "string"], "default": None})
    assert differences(old, new) == []
