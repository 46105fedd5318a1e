"""Values become bytes at one door and bytes become values at the other: Avro in the registry's framing (magic 0, schema id, body).

The writer's schema is found by the id in the frame, so that bytes of every released version read; the reader's is today's class.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import fastavro
import fastavro.schema

from infra.errors import Undecodable, UnknownType
from schemas.definition import Message, Raw, avro_schema, hints, message_class, optional

MAGIC = 0
FRAME = struct.Struct(">bI")
JSONSchema = dict[str, Any]


def reader_schema(cls: type[Message]) -> Any:
    """Today's schema of a message, parsed once."""
    return _reader_schema(cast(type, cls))


@cache
def _reader_schema(cls: Any) -> Any:
    return fastavro.parse_schema(avro_schema(cls))


@cache
def _raw_fields(cls: type) -> tuple[str, ...]:
    return tuple(name for name, hint in hints(cls).items() if optional(hint)[0] is Raw)


class Codec:
    """Knows the registry's ids. `schema_ids`: message type -> id to write with; `writers`: id -> Avro schema (every id ever given)."""

    def __init__(self, schema_ids: Mapping[str, int], writers: Mapping[int, JSONSchema]) -> None:
        self._ids = dict(schema_ids)
        self._writers = {number: (schema["name"], fastavro.parse_schema(schema)) for number, schema in writers.items()}

    def encode(self, value: Message) -> bytes:
        """One framed record. Raises UnknownType when the type was never registered."""
        cls = type(value)
        number = self._ids.get(cls.__name__)
        if number is None:
            raise UnknownType(
                f"{cls.__name__} has no schema id; run `payriver provision` so that the registry knows it"
            )
        fields = dict(value.__dict__)
        for name in _raw_fields(cast(type, cls)):
            if fields[name] is not None:
                fields[name] = str(fields[name])
        out = io.BytesIO()
        out.write(FRAME.pack(MAGIC, number))
        fastavro.schemaless_writer(out, reader_schema(cls), fields)
        return out.getvalue()

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
        name, writer = self._writers[number]
        cls = message_class(name)
        try:
            body = io.BytesIO(data[FRAME.size :])
            fields: Any = fastavro.schemaless_reader(body, writer, reader_schema(cls))
            return _value(cls, fields, rest=len(body.read()))
        except (
            EOFError,
            ValueError,
            IndexError,
            TypeError,
            OverflowError,
            fastavro.schema.SchemaParseException,
        ) as error:
            raise Undecodable(f"{len(data)} bytes are no {name} of schema {number}: {error}") from error


def _value(cls: type[Message], fields: dict[str, Any], rest: int) -> Message:
    if rest:
        raise ValueError(f"{rest} bytes are left over behind the record")
    for name in _raw_fields(cast(type, cls)):
        if fields[name] is not None:
            fields[name] = int(fields[name])
    return cls(**fields)
