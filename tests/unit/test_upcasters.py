"""What was said in an older shape is told in today's, from the store and from a topic alike; what is newer than us is refused."""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import orjson
import pytest

from infra.errors import UnknownType
from schemas import upcasters
from schemas.codec import Codec
from schemas.definition import MESSAGES, Message, Raw, avro_schema, f, from_json, message, to_json
from schemas.topics import PAYMENT_EVENTS
from schemas.upcasters import Payload, adds, problems, upcast
from streams.event_store.recorded import event_hash, new_event
from tests.spoken import apache_bytes, as_written

PAYMENT = uuid4()


def _tip_apart(payload: Payload) -> Payload:
    """From 2 to 3: the tip is said by itself; before it was part of the amount, and nobody knew how much."""
    return adds(tip_raw="0")(payload)


TABLE: upcasters.Table = {
    ("TableServed", 1): lambda payload: adds(guests=1, waiter=f"waiter of {payload['table']}")(payload),
    ("TableServed", 2): _tip_apart,
}


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[type[Message]]]:
    """One message in the three shapes it has had, oldest first; the last is today's."""
    before = dict(MESSAGES)
    upcasters._text_reader.cache_clear()  # it is known by its name, and each test makes it anew

    def first() -> type[Message]:
        @message(PAYMENT_EVENTS, "payment_id")
        class TableServed(Message):
            """A table was served."""

            payment_id: UUID = f("The payment.")
            table: str = f("Its name.")
            amount_raw: Raw = f("What it cost.")

        return TableServed

    def second() -> type[Message]:
        @message(PAYMENT_EVENTS, "payment_id", schema_version=2)
        class TableServed(Message):
            """A table was served."""

            payment_id: UUID = f("The payment.")
            table: str = f("Its name.")
            amount_raw: Raw = f("What it cost.")
            guests: int = f("How many.", default=0)
            waiter: str | None = f("By whom.", default=None)

        return TableServed

    def third() -> type[Message]:
        @message(PAYMENT_EVENTS, "payment_id", schema_version=3)
        class TableServed(Message):
            """A table was served."""

            payment_id: UUID = f("The payment.")
            table: str = f("Its name.")
            amount_raw: Raw = f("What it cost.")
            guests: int = f("How many.", default=0)
            waiter: str | None = f("By whom.", default=None)
            tip_raw: Raw | None = f("The tip.", default=None)

        return TableServed

    monkeypatch.setattr(upcasters.upcast, "__defaults__", (TABLE,))
    yield [first(), second(), third()]
    MESSAGES.clear()
    MESSAGES.update(before)


def served(cls: type[Message], **more: Any) -> Message:
    told: dict[str, Any] = {"payment_id": PAYMENT, "table": "by the window", "amount_raw": Raw(7)}
    return cls(**told | more)


def test_a_stored_event_of_every_version_is_told_in_todays_shape(shapes: list[type[Message]]) -> None:
    first, second, third = shapes
    today = upcasters.message_of("TableServed", 1, to_json(served(first)))
    assert today == served(third, guests=1, waiter="waiter of by the window", tip_raw=Raw(0))
    today = upcasters.message_of("TableServed", 2, to_json(served(second, guests=4)))
    assert today == served(third, guests=4, tip_raw=Raw(0))
    assert upcasters.message_of("TableServed", 3, to_json(served(third))) == served(third)
    for version, cls in enumerate(shapes, 1):
        told = to_json(served(cls))
        assert upcasters.message_of_text("TableServed", version, msgspec.Raw(orjson.dumps(told))) == (
            upcasters.message_of("TableServed", version, told)
        )


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_topic_tells_what_the_store_tells(shapes: list[type[Message]], version: int) -> None:
    value = served(shapes[version - 1], **({} if version == 1 else {"guests": 3}))
    written = Codec({}, {7: avro_schema(shapes[version - 1])})
    data = struct.pack(">bI", 0, 7) + _written_by(shapes[version - 1], value)
    assert written.decode(data) == upcasters.message_of("TableServed", version, to_json(value))


def test_a_stored_payload_and_its_hash_stay_as_they_were(shapes: list[type[Message]]) -> None:
    payload = to_json(served(shapes[0]))
    before = copy.deepcopy(payload)
    stored = new_event(uuid4(), 1, served(shapes[0]), {})
    upcasters.message_of("TableServed", 1, payload)
    assert payload == before
    assert event_hash(stored.event_id, PAYMENT, 1, "TableServed", 1, payload, {}) == stored.hash


def test_what_a_newer_payriver_said_is_refused_not_half_understood(shapes: list[type[Message]]) -> None:
    told = to_json(served(shapes[2]))
    newer = r"schema_version 4.*knows 3.*upgrade"
    with pytest.raises(UnknownType, match=newer):
        upcasters.message_of("TableServed", 4, told)
    with pytest.raises(UnknownType, match=newer):
        upcasters.message_of_text("TableServed", 4, msgspec.Raw(orjson.dumps(told)))


def test_a_raised_version_without_a_row_is_named_and_so_is_a_row_that_leads_nowhere(
    shapes: list[type[Message]],
) -> None:
    third = shapes[2]
    assert problems([third], TABLE) == []
    (missing,) = problems([third], {key: row for key, row in TABLE.items() if key[1] == 1})
    assert "TableServed: no upcaster leads from schema_version 2 to 3" in missing
    (stray,) = problems([third], {**TABLE, ("TableServed", 3): adds()})
    assert "from schema_version 3 leads nowhere" in stray
    assert len(problems(MESSAGES.values(), {**upcasters.UPCASTERS, **TABLE, ("NeverSaid", 1): adds()})) == 1


def test_what_an_upcaster_adds_never_overrides_what_was_said() -> None:
    assert upcast("A", 1, {"b": 2}, 2, {("A", 1): adds(b=1, c=3)}) == {"b": 2, "c": 3}


def _written_by(cls: type[Message], value: Message) -> bytes:
    """The record's body as Apache's own implementation writes it."""
    assert from_json(cls, to_json(value)) == value
    return apache_bytes(avro_schema(cls), as_written(value))
