"""Which of the ids that W knows a process writes under: the newest that makes the bytes its own classes make, whoever came later."""

from __future__ import annotations

import copy
import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from infra.database import Cursor
from infra.errors import UnknownType
from schemas.definition import MESSAGES, avro_schema
from schemas.registry import SAVE, fingerprint, load_codec, subject_of, text_hash
from tests.given import CUSTOMER, approved
from tests.integration.write_side import WriteSide

HELD = MESSAGES["FundsHeld"]


@pytest.fixture
def cursor(side: WriteSide) -> Iterator[Cursor]:
    """W's owner, in a transaction that is rolled back."""
    connection, made = side.by_hand("owner")
    yield made
    connection.rollback()
    connection.close()


def later(cursor: Cursor, number: int, **changes: Any) -> dict[str, Any]:
    """Another version of payriver registers its FundsHeld."""
    schema = copy.deepcopy(avro_schema(HELD)) | changes
    text = json.dumps(schema)
    cursor.execute(SAVE, (number, subject_of(HELD), "FundsHeld", text, fingerprint(text), text_hash(text)))
    return schema


def written_under(cursor: Cursor) -> int:
    event = next(each for each in approved().log if isinstance(each, HELD))
    assert event.key == CUSTOMER
    number: int = struct.unpack_from(">bI", load_codec(cursor).encode(event))[1]
    return number


def test_a_schema_with_other_words_and_the_same_bytes_is_written_under(cursor: Cursor) -> None:
    later(cursor, 90_001, doc="The same, said better.")
    assert written_under(cursor) == 90_001


def test_what_a_newer_payriver_registered_is_never_written_under(cursor: Cursor) -> None:
    before = written_under(cursor)
    new = {"name": "urgency", "type": ["null", "string"], "default": None, "doc": "How soon."}
    later(cursor, 90_002, schema_version=HELD.schema_version + 1, fields=[*avro_schema(HELD)["fields"], new])
    first, second, third, *rest = avro_schema(HELD)["fields"]
    later(cursor, 90_003, fields=[second, first, third, *rest])
    later(cursor, 90_004, namespace="payriver.other.events")
    assert written_under(cursor) == before


def test_bytes_of_a_newer_payriver_are_refused_by_name(cursor: Cursor) -> None:
    event = next(each for each in approved().log if isinstance(each, HELD))
    body = load_codec(cursor).encode(event)[5:]
    later(cursor, 90_005, schema_version=HELD.schema_version + 1)
    with pytest.raises(UnknownType, match="upgrade"):
        load_codec(cursor).decode(struct.pack(">bI", 0, 90_005) + body)


def test_the_fingerprint_is_that_of_the_canonical_form_and_the_text_has_its_own(cursor: Cursor) -> None:
    """Avro specification, "Transforming into Parsing Canonical Form": short full names, no words, no defaults, no logical types."""
    text = """{"type": "record", "name": "A", "namespace": "b.c", "doc": "x", "fields": [
        {"name": "at", "doc": "y", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null}]}"""
    form = '{"name":"b.c.A","type":"record","fields":[{"name":"at","type":["null","long"]}]}'
    assert fingerprint(text) == hashlib.sha256(form.encode()).hexdigest()
    cursor.execute("SELECT schema, fingerprint, text_hash FROM schema_ids")
    rows = cursor.fetchall()
    assert len(rows) == len(MESSAGES)
    for schema, *digests in rows:
        assert digests == [fingerprint(schema), hashlib.sha256(schema.encode()).hexdigest()]
