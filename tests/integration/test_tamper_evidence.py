"""Whoever rewrites the memory is found and named: every column, every row, with the log, its witness and the anchors' rows rewritten too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.verify.report import Difference
from infra.stack.supervisor import Stack
from streams.audit_log import log
from tests.integration.memory import FIRST, SECOND, TAIL, Memory, kept
from tests.integration.tampering import PLACE, Column, changed, columns, others


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    with Stack(servers=("write", "read", "node"), components=()) as stack:
        yield Memory(stack)


def event(memory: Memory, leaf: int) -> tuple[str, int]:
    """(id, position) of the event that is this leaf."""
    with memory.superuser() as cursor:
        cursor.execute(
            "SELECT event_id, position FROM events INNER JOIN audit_leaves USING (position) WHERE leaf_index = %s",
            (leaf,),
        )
        ((event_id, position),) = cursor.fetchall()
        return str(event_id), position


def named(differences: list[Difference], event_id: str, position: int) -> bool:
    return any(
        each.table == "events" and (event_id in each.key or f"position {position}" in each.key) for each in differences
    )


def test_a_memory_left_alone_is_whole_and_says_how_far_it_is_covered(memory: Memory) -> None:
    found = memory.audit()
    assert found.differences == []
    assert found.covered is not None
    assert (found.covered.anchored, found.covered.not_covered) == (FIRST + SECOND, TAIL)
    assert found.checked["anchors"] == found.checked["anchored roots"] == 2
    _, position = event(memory, FIRST + SECOND - 1)
    assert found.covered.last_position == position


PLACING = ("archived",)
"""No part of an event: which partition its row lies in. `verify` holds it against the stream's head."""


def event_columns() -> list[str]:
    return [
        *("position", "event_id", "stream_id", "version", "category", "type", "schema_version"),
        *("payload", "metadata", "recorded_at", "transaction_id", "hash"),
    ]


@pytest.mark.parametrize("rewritten", ["nothing", "the log"])
@pytest.mark.parametrize("name", event_columns())
def test_a_changed_column_is_found_and_its_event_named(memory: Memory, name: str, rewritten: str) -> None:
    """Also by someone who makes the whole log anew afterwards."""
    event_id, position = event(memory, 123)
    with kept(memory):
        with memory.superuser() as cursor:
            column = next(each for each in columns(cursor, "events") if each.name == name)
            _change(cursor, column, position)
        if rewritten == "the log":
            memory.rewrite_log()
        assert named(memory.audit().differences, event_id, position)
    assert memory.audit().differences == []


def test_every_column_of_an_event_is_tried(memory: Memory) -> None:
    with memory.superuser() as cursor:
        assert {each.name for each in columns(cursor, "events")} == {*event_columns(), *PLACING}


def _change(cursor: Any, column: Column, position: int) -> None:
    if column.name == "position":  # to one that a rolled-back transaction left free
        cursor.execute("UPDATE events SET position = 1000000 + position WHERE position = %s", (position,))
        return
    cursor.execute(f"SELECT {PLACE} FROM events WHERE position = %s", (position,))
    ((ctid,),) = cursor.fetchall()
    with changed(cursor, "events", column, ctid, others(cursor, "events", column, ctid)[0]) as what:
        assert what is not None
        cursor.execute("CREATE TEMP TABLE tampered AS TABLE events")  # `changed` puts it back, and we change it again
    cursor.execute("DELETE FROM events; INSERT INTO events SELECT * FROM tampered; DROP TABLE tampered")


def drop(cursor: Any, position: int) -> None:
    cursor.execute("DELETE FROM events WHERE position = %s", (position,))


def forge(cursor: Any, position: int) -> None:
    cursor.execute('UPDATE events SET payload = payload || \'{"amount": "1"}\' WHERE position = %s', (position,))


def add(cursor: Any, position: int) -> None:
    """Another event, in a gap that we make below it."""
    cursor.execute("UPDATE events SET event_id = gen_random_uuid() WHERE position = %s", (position,))


@pytest.mark.parametrize("act", [drop, forge, add])
@pytest.mark.parametrize("leaf", [0, 255, 299, 300, 499])
def test_a_dropped_or_exchanged_event_is_named_though_the_log_was_made_anew(
    memory: Memory, act: Callable[[Any, int], None], leaf: int
) -> None:
    event_id, position = event(memory, leaf)
    for anew in (False, True):
        with kept(memory):
            with memory.superuser() as cursor:
                act(cursor, position)
            if anew:
                memory.rewrite_log()
            assert named(memory.audit().differences, event_id, position)


def test_an_event_added_in_a_gap_is_named(memory: Memory) -> None:
    """A rolled-back transaction left a position free; somebody fills it later."""
    _, position = event(memory, 77)
    for anew in (False, True):
        with kept(memory):
            with memory.superuser() as cursor:  # the gap: as if the log had never had it
                cursor.execute("SELECT max(position) FROM events")
                ((newest,),) = cursor.fetchall()
                cursor.execute(
                    "INSERT INTO events SELECT 2 * %s + 5, gen_random_uuid(), gen_random_uuid(), version, category, type, schema_version,"
                    " payload, metadata, recorded_at, transaction_id, hash, archived FROM events WHERE position = %s RETURNING event_id",
                    (newest, position),
                )
                ((added,),) = cursor.fetchall()
                cursor.execute("UPDATE events SET position = position + 10000 WHERE position > %s", (position,))
                cursor.execute("UPDATE audit_leaves SET position = position + 10000 WHERE position > %s", (position,))
                cursor.execute("UPDATE events SET position = %s + 1 WHERE event_id = %s", (position, added))
            if anew:
                memory.rewrite_log()
            assert named(memory.audit().differences, str(added), position + 1)


def test_what_only_the_chain_remembers_is_narrowed_to_the_stretch_between_two_anchors(memory: Memory) -> None:
    """Owners of both servers together: event, log and witness agree with each other, and not with the root on chain."""
    _, position = event(memory, FIRST + 50)
    _, first = event(memory, FIRST)
    _, last = event(memory, FIRST + SECOND - 1)
    for act in (forge, drop):
        with kept(memory):
            with memory.superuser() as cursor:
                act(cursor, position)
            memory.rewrite_log()
            memory.rewrite_witness()
            (found,) = [each for each in memory.audit().differences if each.table == "events"]
            assert found.key.startswith(f"positions {first} to ") and "states another root" in found.about
            if act is forge:
                assert found.key == f"positions {first} to {last}"
            assert memory.audit(ask_node=False).differences == []  # without the chain nobody can tell


def test_anchors_are_read_from_the_chain_whatever_our_table_says(memory: Memory) -> None:
    """Somebody changes an event, makes log and witness anew, and states the new root in our rows; or takes the anchor's rows away."""
    _, position = event(memory, FIRST + 50)
    for attack in (
        "UPDATE audit_anchors SET root = sha256(root), data = data || sha256(root) WHERE nonce = 1",
        "DELETE FROM audit_transactions WHERE nonce = 1; DELETE FROM audit_anchors WHERE nonce = 1",
        "DELETE FROM audit_transactions; DELETE FROM audit_anchors",
        "UPDATE audit_transactions SET tx_hash = '0x' || encode(sha256(signed), 'hex')",
        "UPDATE audit_transactions SET tx_hash = left(tx_hash, -1) || 'g'",
    ):
        with kept(memory):
            with memory.superuser() as cursor:
                forge(cursor, position)
            memory.rewrite_log()
            memory.rewrite_witness()
            with memory.superuser() as cursor:
                _attack(cursor, attack)
            found = memory.audit().differences
            assert any(each.table == "events" and "positions" in each.key for each in found), attack
            assert any(each.table in ("audit_anchors", "audit_transactions") for each in found), attack


def _attack(cursor: Any, attack: str) -> None:
    if "data ||" in attack:
        attack = "UPDATE audit_anchors SET root = sha256(root), data = overlay(data PLACING sha256(root) FROM 34) WHERE nonce = 1"
    cursor.execute(attack)


@pytest.mark.parametrize(
    ("server", "table", "change"),
    [
        ("write", "audit_leaves", "UPDATE audit_leaves SET hash = sha256(hash) WHERE leaf_index = 5"),
        ("write", "audit_leaves", "DELETE FROM audit_leaves WHERE leaf_index = 5"),
        ("write", "audit_leaves", "DELETE FROM audit_leaves WHERE leaf_index > 400"),
        ("write", "audit_leaves", "UPDATE audit_leaves SET leaf_index = 100000 WHERE leaf_index = 5"),
        ("write", "audit_leaves", "UPDATE audit_leaves SET position = 100000 WHERE leaf_index = 5"),
        ("write", "audit_nodes", "UPDATE audit_nodes SET hash = sha256(hash)"),
        ("write", "audit_nodes", "DELETE FROM audit_nodes"),
        ("write", "audit_nodes", "INSERT INTO audit_nodes VALUES (8, 77, sha256('x'))"),
        ("read", "audit_witness", "UPDATE audit_witness SET hash = sha256(hash) WHERE leaf_index = 5"),
        ("read", "audit_witness", "DELETE FROM audit_witness WHERE leaf_index = 5"),
        ("read", "audit_witness", "DELETE FROM audit_witness WHERE leaf_index > 400"),
        ("read", "audit_witness", "UPDATE audit_witness SET position = 100000 WHERE leaf_index = 5"),
    ],
)
def test_what_is_changed_in_the_log_itself_is_named_there(memory: Memory, server: str, table: str, change: str) -> None:
    with kept(memory):
        with memory.superuser(server) as cursor:
            cursor.execute(change)
        found = memory.audit().differences
        assert any(each.table == table for each in found), found
        assert not any(each.table == "events" for each in found), found


def test_what_lies_after_the_last_anchor_is_told_apart_by_the_witness_and_said_to_be_uncovered(memory: Memory) -> None:
    event_id, position = event(memory, FIRST + SECOND + 5)
    with kept(memory):
        with memory.superuser() as cursor:
            forge(cursor, position)
        memory.rewrite_log()
        (found,) = memory.audit().differences
        assert event_id in found.key and "no anchored root says which is true" in found.about


def test_a_log_that_was_rewritten_is_not_anchored(memory: Memory) -> None:
    _, position = event(memory, 10)
    with kept(memory):
        with memory.superuser() as cursor:
            forge(cursor, position)
        memory.rewrite_log()
        with pytest.raises(log.LogBroken, match="it was rewritten"):
            memory.anchorer.begin()
    assert memory.audit().differences == []
