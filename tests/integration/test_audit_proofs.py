"""Proofs of single events and of consistency, from a real PostgreSQL: short, whole, and refused when any bit of them is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.audit import check
from infra.audit.check import Head, Refused
from infra.database import transaction
from infra.errors import NotFound
from streams.audit_log import leaf, proofs
from streams.audit_log.filler import Filler
from streams.audit_log.proofs import NotCovered
from tests.integration.audit_side import add, begun, head_of, leaves
from tests.integration.conftest import Databases


@pytest.fixture
def filler(databases: Databases) -> Iterator[Filler]:
    """On a log that has begun."""
    made = begun(databases)
    yield made
    made.write.dispose()
    made.read.dispose()


@pytest.fixture(scope="module")
def proved(databases: Databases) -> tuple[bytes, Head]:
    """A proof file, and the head that it belongs to."""
    made = Filler(databases.as_role("write", "audit"), databases.as_role("read", "audit"))
    add(databases, 1000)
    made.catch_up(10)
    head = head_of(databases)
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute("SELECT event_id FROM events WHERE payload ? 'words' ORDER BY position OFFSET 500 LIMIT 1")
        ((event_id,),) = cursor.fetchall()
        return proofs.prove(cursor, event_id, head), head


def test_every_event_is_proved_with_few_questions_and_a_short_path(databases: Databases, filler: Filler) -> None:
    head = head_of(databases)
    with transaction(databases.as_role("write", "auditor")) as cursor:
        for _, position, _ in leaves(databases)[::97]:
            event = check.check_proof(proofs.prove(cursor, position, head), head)
            assert event["position"] == position


def test_an_event_is_proved_by_its_id_and_told_whole(databases: Databases, proved: tuple[bytes, Head]) -> None:
    event = check.check_proof(*proved)
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute(f"SELECT {leaf.SELECT} FROM events WHERE event_id = %s", (event["event_id"],))
        (row,) = cursor.fetchall()
    assert event["payload"] == row[7] and event["payload"]["words"].startswith("Café")
    assert event["recorded_at"] == leaf.moment(row[9]) and event["transaction_id"] == row[10]
    assert set(event) == {column.split(":")[0] for column in leaf.COLUMNS}


@settings(max_examples=500)
@given(st.data())
def test_a_proof_with_any_bit_changed_is_refused(proved: tuple[bytes, Head], data: st.DataObject) -> None:
    text, head = proved
    place, bit = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(text)
    changed[place] ^= 1 << bit
    with pytest.raises(Refused):
        check.check_proof(bytes(changed), head)


@pytest.mark.parametrize("change", ["size", "root", "log_id"])
def test_a_proof_is_refused_for_another_head(proved: tuple[bytes, Head], change: str) -> None:
    text, head = proved
    told: dict[str, Any] = {"log_id": head.log_id, "size": head.size, "root": head.root, "key": head.key}
    told[change] = {"size": head.size + 1, "root": bytes(32), "log_id": "00" * 16}[change]
    with pytest.raises(Refused):
        check.check_proof(text, Head(**told))


def test_a_later_log_is_proved_to_begin_with_an_earlier_one(databases: Databases, filler: Filler) -> None:
    first = head_of(databases)
    add(databases, 400)
    filler.catch_up(10)
    second = head_of(databases)
    with transaction(databases.as_role("write", "auditor")) as cursor:
        text = proofs.prove_consistency(cursor, first, second)
    assert len(check.check_consistency(text, first, second)["path"]) <= second.size.bit_length() + 1
    for place in range(len(text)):
        changed = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
        with pytest.raises(Refused):
            check.check_consistency(changed, first, second)
    forged = Head(first.log_id, first.size, second.root, first.key)
    with pytest.raises(Refused):
        check.check_consistency(text, forged, second)


def test_what_is_not_there_or_not_covered_is_said(databases: Databases, filler: Filler) -> None:
    head = head_of(databases)
    add(databases, 1)
    with transaction(databases.as_role("write", "auditor")) as cursor:
        cursor.execute("SELECT event_id FROM events ORDER BY position DESC LIMIT 1")
        ((newest,),) = cursor.fetchall()
        with pytest.raises(NotCovered, match="payriver audit anchor"):
            proofs.prove(cursor, newest, head)
        with pytest.raises(NotFound):
            proofs.prove(cursor, uuid4(), head)
