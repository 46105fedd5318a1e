"""What on a topic counts as an event of our outbox: only that is held against W, before anybody is let in and when W is restored."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.recovery.agreement import is_event
from streams.runtime.records import Record

HEADERS = {"ce_id": "0b1f0a2e-6a52-5d5b-9d0a-2f7f1c3b9c11", "stream_version": "7", "position": "20417"}
KEY = b"5f3c9f0e-1d7b-5a44-8a55-0f1c2b3d4e5f"


def record(key: bytes | None = KEY, **changed: Any) -> Record:
    told = {name: value for name, value in {**HEADERS, **changed}.items() if value is not None}
    return Record("payments.events", 0, 0, key, b"x", told, 0)


def test_what_the_outbox_announced_with_a_position_is_an_event() -> None:
    assert is_event(record()) and is_event(record(ce_type="PaymentRequested"))


@pytest.mark.parametrize(
    "poison",
    [
        record(position=None),
        record(ce_id=None),
        record(ce_id="x"),
        record(ce_id="0B1F0A2E-6A52-5D5B-9D0A-2F7F1C3B9C11"),
        record(stream_version="seven"),
        record(stream_version="-7"),
        record(position="9" * 30),
        record(position="\u0667"),
        record(position="7\n"),
        record(None),
        record(b"\xff"),
        record(KEY + b"\n"),
    ],
    ids=repr,
)
def test_poison_is_none_whatever_it_names_itself(poison: Record) -> None:
    """W cannot be asked for such an id or version: every worker's start would end with the database's error, again and again."""
    assert not is_event(poison)
