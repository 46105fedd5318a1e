"""Values become bytes at one door and bytes become values at the other: Avro in the registry's framing (magic 0, schema id, body).

The writer's schema is found by the id in the frame, so that bytes of every released version read; the reader's is today's class.
Bytes of an older `schema_version` go through the upcasters, as a stored payload does: store and topic never tell two things.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast
from uuid import UUID

import fastavro
import fastavro.schema

from infra.errors import Undecodable, UnknownType
from schemas.definition import TO_JSON, Message, Raw, avro_schema, hints, message_class, optional, to_json
from schemas.upcasters import message_of

MAGIC = 0
FRAME = struct.Struct(">bI")
JSONSchema = dict[str, Any]
LOGICAL = (UUID, datetime)


def reader_schema(cls: type[Message]) -> Any:
    """Today's schema of a message, parsed once."""
    return _reader_schema(cast(type, cls))


@cache
def _reader_schema(cls: Any) -> Any:
    return fastavro.parse_schema(avro_schema(cls))


@cache
def _fields(cls: type, kind: Any) -> tuple[str, ...]:
    return tuple(name for name, hint in hints(cls).items() if optional(hint)[0] is kind)


@dataclass(frozen=True)
class Writer:
    """A schema that bytes were written by."""

    name: str
    schema_version: int
    parsed: Any


class Form(NamedTuple):
    """How values of one type are written. `times`: the fields that are numbers in Avro and text in JSON; all others are alike in both."""

    frame: bytes
    parsed: Any
    times: tuple[str, ...]


class Codec:
    """Knows the registry's ids. `schema_ids`: message type -> id to write with; `writers`: id -> Avro schema (every id ever given)."""

    def __init__(self, schema_ids: Mapping[str, int], writers: Mapping[int, JSONSchema]) -> None:
        self._ids = dict(schema_ids)
        self._forms: dict[type[Message], Form] = {}
        self._writers = {
            number: Writer(schema["name"], schema.get("schema_version", 1), fastavro.parse_schema(schema))
            for number, schema in writers.items()
        }

    def encode(self, value: Message, payload: dict[str, Any] | None = None) -> bytes:
        """One framed record; `payload`: the value's `to_json`, where it is at hand. Raises UnknownType when the type was never registered."""
        cls = type(value)
        form = self._forms.get(cls) or self._form(cls)
        fields = to_json(value) if payload is None else payload
        if form.times:
            fields = fields | {name: getattr(value, name) for name in form.times}
        out = io.BytesIO()
        out.write(form.frame)
        fastavro.schemaless_writer(out, form.parsed, fields)
        return out.getvalue()

    def _form(self, cls: type[Message]) -> Form:
        number = self._ids.get(cls.__name__)
        if number is None:
            raise UnknownType(
                f"{cls.__name__} has no schema id; run `payriver provision` so that the registry knows it"
            )
        form = Form(FRAME.pack(MAGIC, number), reader_schema(cls), _fields(cast(type, cls), datetime))
        self._forms[cls] = form
        return form

    def decode(self, data: bytes | None) -> Message:
        """The value of one framed record. Raises Undecodable for bytes that are not one of ours, UnknownType for a type we lack."""
        if data is None or len(data) < FRAME.size:
            raise Undecodable(
                f"{0 if data is None else len(data)} bytes are no framed record (magic byte, 4-byte schema id, Avro body)"
            )
        magic, number = FRAME.unpack_from(data)
        if magic != MAGIC or number not in self._writers:
            raise Undecodable(
                f"the frame says magic {magic}, schema id {number}; known ids are {sorted(self._writers)[:3]}..."
            )
        writer = self._writers[number]
        cls = message_class(writer.name)
        try:
            body = io.BytesIO(data[FRAME.size :])
            if writer.schema_version != cls.schema_version:
                return _older(writer, body)
            fields: Any = fastavro.schemaless_reader(body, writer.parsed, reader_schema(cls))
            _must_be_all(body)
            return _value(cls, fields)
        except (
            EOFError,
            ValueError,
            IndexError,
            TypeError,
            OverflowError,
            fastavro.schema.SchemaParseException,
        ) as error:
            raise Undecodable(f"{len(data)} bytes are no {writer.name} of schema {number}: {error}") from error

    def as_written(self, data: bytes) -> tuple[Message, int, dict[str, Any]]:
        """A framed record's value, the `schema_version` that it was written with, and its payload in that shape, as it was stored then.

        Raises as `decode`.
        """
        message, writer = self.decode(data), self._writers[FRAME.unpack_from(data)[1]]
        if writer.schema_version == type(message).schema_version:
            return message, writer.schema_version, to_json(message)
        return message, writer.schema_version, _as_stored(writer, io.BytesIO(data[FRAME.size :]))

    def ids_of(self, kind: str, schema_version: int, payload: Mapping[str, Any]) -> list[int]:
        """The ids under which a payload of this shape may have been written, in the order in which they were given."""
        return [
            number
            for number, each in self._writers.items()
            if (each.name, each.schema_version) == (kind, schema_version)
            and payload.keys() == {field["name"] for field in each.parsed["fields"]}
        ]

    def encode_stored(self, number: int, payload: Mapping[str, Any]) -> bytes:
        """A stored payload as it was written under that id, byte for byte: what `as_written` takes apart. `number`: one of its `ids_of`."""
        out, parsed = io.BytesIO(), self._writers[number].parsed
        times = {field["name"] for field in parsed["fields"] if _is_time(field["type"])}
        fields = {
            name: datetime.fromisoformat(value) if name in times and value is not None else value
            for name, value in payload.items()
        }
        out.write(FRAME.pack(MAGIC, number))
        fastavro.schemaless_writer(out, parsed, fields)
        return out.getvalue()


def _is_time(kind: Any) -> bool:
    """Of a field's Avro type, with or without null."""
    if isinstance(kind, list):
        return any(map(_is_time, kind))
    return isinstance(kind, dict) and kind.get("logicalType") == "timestamp-micros"


def _value(cls: type[Message], fields: dict[str, Any]) -> Message:
    for name in _fields(cast(type, cls), Raw):
        if fields[name] is not None:
            fields[name] = int(fields[name])
    return cls(**fields)


def _older(writer: Writer, body: io.BytesIO) -> Message:
    """A record of another version: read as it was written, then told as its stored payload would be."""
    return message_of(writer.name, writer.schema_version, _as_stored(writer, body))


def _as_stored(writer: Writer, body: io.BytesIO) -> dict[str, Any]:
    fields: Any = fastavro.schemaless_reader(body, writer.parsed, None)
    _must_be_all(body)
    return {name: TO_JSON[type(value)](value) if type(value) in LOGICAL else value for name, value in fields.items()}


def _must_be_all(body: io.BytesIO) -> None:
    if rest := len(body.read()):
        raise ValueError(f"{rest} bytes are left over behind the record")
